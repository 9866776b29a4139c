import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../', import.meta.url))

it.each(['docs/architecture.md', 'docs/invariants.md'])('every file that %s names exists', (page) => {
  const text = readFileSync(root + page, 'utf8')
  const paths = [...text.matchAll(/`((?:src|test|tools|bench)\/[\w./-]+)`/g)].map(([, path]) => path!)
  expect(paths.length).toBeGreaterThan(15)
  expect(paths.filter((path) => !existsSync(root + path))).toEqual([])
})
