import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../', import.meta.url))

it('every file that docs/architecture.md names exists', () => {
  const text = readFileSync(`${root}docs/architecture.md`, 'utf8')
  const paths = [...text.matchAll(/`((?:src|test|tools|bench)\/[\w./-]+)`/g)].map(([, path]) => path!)
  expect(paths.length).toBeGreaterThan(15)
  expect(paths.filter((path) => !existsSync(root + path))).toEqual([])
})
