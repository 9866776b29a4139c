import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { dispatch } from './dispatch.ts'
import { checkOutputs, writeOutput } from './output-file.ts'

const dir = mkdtempSync(join(tmpdir(), 'switchyard-output-'))
afterAll(() => rmSync(dir, { recursive: true }))

it('an output is refused before the work where it could not be written after it', async () => {
  writeFileSync(join(dir, 'old.json'), 'old')
  await checkOutputs([undefined, '-', join(dir, 'new.json'), join(dir, 'old.json')])
  expect(readFileSync(join(dir, 'old.json'), 'utf8')).toBe('old')
  for (const [path, reason] of [
    [join(dir, 'none', 'new.json'), 'ENOENT'],
    [dir, 'it is a folder'],
  ] as const) {
    const message = `${path}: cannot be written (${reason}).`
    await expect(checkOutputs([path])).rejects.toMatchObject({ code: 'INVALID_CONFIG', message })
  }
  await expect(writeOutput(dir, '')).rejects.toThrow(`${dir}: cannot be written (EISDIR).`)
})

it.each([
  ['bench', '--requests', '1', '--json'],
  ['simulate', '--requests', '1', '--html'],
  ['calibrate', '--out'],
  ['tune', '-w', 'poisson', '--goal', 'jain', '--out'],
])('%s says so before it begins', async (...args) => {
  const path = join(dir, 'none', 'report')
  await expect(dispatch([...args, path], () => {})).rejects.toThrow(`${path}: cannot be written (ENOENT).`)
})
