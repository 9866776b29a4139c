import { mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { NewFile } from './new-file.ts'

const dir = mkdtempSync(join(tmpdir(), 'switchyard-new-file-'))
afterAll(() => rmSync(dir, { recursive: true }))

it('a new file overwrites nothing: the next one is written beside it', () => {
  const path = join(dir, 'plans')
  for (const text of ['one', 'two']) {
    const file = new NewFile(path, 'recording of plans')
    file.write(text)
    file.close()
  }
  expect([readFileSync(path, 'utf8'), readFileSync(`${path}.1`, 'utf8')]).toEqual(['one', 'two'])
  expect(() => new NewFile(join(dir, 'none', 'plans'), 'recording of plans')).toThrow('(ENOENT)')
})

it('a system that takes less at a time than it is given gets the rest', () => {
  const path = join(dir, 'slow')
  const file = new NewFile(path, 'profile', (descriptor, bytes) =>
    writeSync(descriptor, bytes.subarray(0, 3)),
  )
  file.write('twelve bytes')
  file.close()
  expect(readFileSync(path, 'utf8')).toBe('twelve bytes')
})

it.skipIf(process.platform !== 'linux')('a full disk ends the file, says so once, and stops nobody', () => {
  const said: string[] = []
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0)
  const full = openSync('/dev/full', 'w')
  const path = join(dir, 'full')
  const file = new NewFile(path, 'profile', (_, bytes) => writeSync(full, bytes))
  file.write('one')
  file.write('two')
  file.close()
  write.mockRestore()
  expect(said).toEqual([`The profile in ${path} ends: ENOSPC\n`])
})
