import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

import { configurationDocs, configurationPath } from './config-docs.ts'

it('docs/configuration.md is what npm run docs writes', () => {
  expect(readFileSync(configurationPath, 'utf8')).toBe(configurationDocs())
})
