import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'

import { openGguf } from '../src/model/gguf-reader.ts'
import { writeGguf } from './gguf-writer.ts'

const dir = mkdtempSync(join(tmpdir(), 'gguf-writer-'))
afterAll(() => rmSync(dir, { recursive: true }))

const tensors = [
  { name: 'a', type: 0, shape: [3] },
  { name: 'b', type: 8, shape: [32, 2] },
]

it('writes tensors piece by piece, each where the table says', () => {
  const path = join(dir, 'two.gguf')
  const pieces = new Map([
    ['a', [Buffer.from('AAAA'), Buffer.from('BBBBBBBB')]],
    ['b', [new Uint8Array(68).fill(7)]],
  ])
  writeGguf(path, { metadata: [], tensors }, ({ name }) => pieces.get(name) ?? [])
  const gguf = openGguf(path)
  const bytes = readFileSync(path)
  const dataOf = (name: string) => {
    const { offset = 0, numBytes = 0 } = gguf.tensors.get(name) ?? {}
    return bytes.subarray(offset, offset + numBytes)
  }
  expect(dataOf('a').toString()).toBe('AAAABBBBBBBB')
  expect([...dataOf('b')]).toEqual(Array(68).fill(7))
  gguf.close()
})

it('leaves no file behind when a tensor comes out short', () => {
  const path = join(dir, 'short.gguf')
  expect(() => writeGguf(path, { metadata: [], tensors }, () => [new Uint8Array(4)])).toThrow(
    'a: 4 bytes of 12',
  )
  expect(existsSync(path)).toBe(false)
  expect(readdirSync(dir).filter((name) => name.includes('short'))).toEqual([])
})
