import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

import {
  encodeFile,
  llamaTensors,
  memorySource,
  numberArray,
  stringArray,
} from '../../test/support/gguf-fixture.ts'
import { encodeHeader, type GgufContent, type MetadataEntry } from '../../tools/gguf-writer.ts'
import { ServingError } from '../core/errors.ts'
import { openGguf, readGguf } from './gguf-reader.ts'

const scalars: MetadataEntry[] = [
  { key: 'k.u8', type: 'u8', value: 200 },
  { key: 'k.i8', type: 'i8', value: -100 },
  { key: 'k.u16', type: 'u16', value: 60_000 },
  { key: 'k.i16', type: 'i16', value: -30_000 },
  { key: 'k.u32', type: 'u32', value: 4_000_000_000 },
  { key: 'k.i32', type: 'i32', value: -2_000_000_000 },
  { key: 'k.u64', type: 'u64', value: 2n ** 63n },
  { key: 'k.i64', type: 'i64', value: -5 },
  { key: 'k.f32', type: 'f32', value: 0.5 },
  { key: 'k.f64', type: 'f64', value: 0.1 },
  { key: 'k.bool', type: 'bool', value: true },
  { key: 'k.string', type: 'string', value: 'ünïcode' },
]

const arrays: MetadataEntry[] = [
  stringArray('k.strings', ['', 'one', 'zwei']),
  numberArray('k.ints', 'i32', [-1, 0, 7]),
  numberArray('k.floats', 'f32', [0.5, -2]),
]

const read = (content: Partial<GgufContent>) =>
  readGguf(memorySource(encodeFile({ metadata: [], tensors: [], ...content })))

describe('a well-formed file', () => {
  it('gives every type of scalar as it was written', () => {
    const gguf = read({ metadata: scalars })
    for (const { key, type, value } of scalars.filter((entry) => entry.type !== 'array')) {
      const expected = typeof value === 'number' && Number.isInteger(value) ? Number(value) : value
      expect(gguf.metadata.get(key)).toEqual({ kind: 'scalar', type, value: expected })
    }
  })

  it('decodes arrays on demand', () => {
    const gguf = read({ metadata: arrays })
    expect(gguf.getStrings('k.strings')).toEqual(['', 'one', 'zwei'])
    expect(gguf.getNumbers('k.ints')).toEqual([-1, 0, 7])
    expect(gguf.getNumbers('k.floats')).toEqual([0.5, -2])
    expect(gguf.getArray('k.strings').count).toBe(3)
  })

  it('gives tensors with absolute, aligned offsets and their sizes', () => {
    const tensors = [
      { name: 'a', type: 0, shape: [3] },
      { name: 'b', type: 2, shape: [64, 3] },
      { name: 'c', type: 14, shape: [256, 2, 2] },
    ]
    const gguf = read({
      tensors,
      alignment: 64,
      metadata: [{ key: 'general.alignment', type: 'u32', value: 64 }],
    })
    const start = gguf.tensors.get('a')?.offset ?? -1
    expect(start % 64).toBe(0)
    expect([...gguf.tensors.values()]).toEqual([
      { ...tensors[0], offset: start, numBytes: 12 },
      { ...tensors[1], offset: start + 64, numBytes: 108 },
      { ...tensors[2], offset: start + 192, numBytes: 840 },
    ])
  })

  it('is read in windows, and a large vocabulary is passed over quickly', () => {
    const tokens = Array.from({ length: 150_000 }, (_, index) => `token ${index}`)
    const source = memorySource(encodeFile({ metadata: [stringArray('tokens', tokens)], tensors: [] }))
    const start = performance.now()
    const gguf = readGguf(source)
    expect(performance.now() - start).toBeLessThan(200)
    expect(source.largestRead()).toBeLessThanOrEqual(256 * 1024)
    expect(gguf.getStrings('tokens')).toEqual(tokens)
  })

  it('is not read beyond its head', () => {
    const tensors = [{ name: 'big', type: 0, shape: [1024, 1024] }]
    const source = memorySource(encodeFile({ metadata: scalars, tensors }))
    expect(readGguf(source).tensors.get('big')?.numBytes).toBe(4_194_304)
    expect(source.bytesRead()).toBeLessThanOrEqual(256 * 1024)
  })

  it('passes over an array of numbers without reading it', () => {
    const values = Array.from({ length: 300_000 }, (_, index) => index)
    const source = memorySource(
      encodeFile({ metadata: [numberArray('k', 'u32', values), ...scalars], tensors: [] }),
    )
    expect(readGguf(source).getUint('k.u8')).toBe(200)
    expect(source.bytesRead()).toBeLessThan(600_000)
  })

  it('may be of version 2', () => {
    const bytes = encodeFile({ metadata: scalars, tensors: llamaTensors() })
    bytes[4] = 2
    expect(readGguf(memorySource(bytes)).version).toBe(2)
  })
})

describe('typed access', () => {
  const gguf = read({ metadata: [...scalars, ...arrays] })

  it('returns undefined or refuses when a key is absent', () => {
    expect(gguf.findUint('nope')).toBeUndefined()
    expect(() => gguf.getUint('nope')).toThrow('model.gguf: metadata nope is missing')
  })

  it.each<[string, () => unknown, string]>([
    [
      'a string for a number',
      () => gguf.getUint('k.string'),
      'k.string must be an unsigned integer, is a string',
    ],
    ['a negative number', () => gguf.getUint('k.i8'), 'k.i8 must be an unsigned integer, is i8 -100'],
    [
      'an inexact number',
      () => gguf.findUint('k.u64'),
      'must be an unsigned integer, is u64 9223372036854775808',
    ],
    ['a float for an integer', () => gguf.getUint('k.f32'), 'k.f32 must be an unsigned integer, is f32 0.5'],
    ['an integer for a float', () => gguf.getFloat('k.u8'), 'k.u8 must be a float, is u8 200'],
    ['a number for a string', () => gguf.getString('k.u8'), 'k.u8 must be a string, is u8 200'],
    ['a number for a bool', () => gguf.getBool('k.u8'), 'k.u8 must be a bool, is u8 200'],
    ['a scalar for an array', () => gguf.getArray('k.u8'), 'k.u8 must be an array, is u8 200'],
    [
      'an array for a scalar',
      () => gguf.getUint('k.ints'),
      'k.ints must be an unsigned integer, is an array of i32',
    ],
    [
      'numbers for strings',
      () => gguf.getStrings('k.ints'),
      'must be an array of strings, is an array of i32',
    ],
    [
      'strings for numbers',
      () => gguf.getNumbers('k.strings'),
      'must be an array of numbers, is an array of string',
    ],
  ])('refuses %s, naming both types', (_, access, message) => {
    expect(access).toThrow(message)
  })
})

/** The bytes of a file with an edit at a known place. */
function edited(
  content: Partial<GgufContent>,
  edit: (view: DataView, bytes: Uint8Array) => void,
): Uint8Array {
  const bytes = new Uint8Array(encodeFile({ metadata: [], tensors: [], ...content }))
  edit(new DataView(bytes.buffer), bytes)
  return bytes
}

/** Where a text begins in a file; behind it come its fields. */
function after(bytes: Uint8Array, text: string): number {
  return Buffer.from(bytes).indexOf(text) + text.length
}

const one = { metadata: [{ key: 'k', type: 'u32', value: 7 } as const] }
const tensor = { tensors: [{ name: 'weight', type: 0, shape: [8, 4] }] }
const two = {
  tensors: [
    { name: 'first', type: 0, shape: [8, 4] },
    { name: 'other', type: 0, shape: [8, 4] },
  ],
}
const strings = { metadata: [stringArray('k', ['one', 'two'])] }
const uneven = { metadata: [stringArray('k', ['one', 'twelve'])] }

type Edit = (view: DataView, bytes: Uint8Array) => void
const u32 = (text: string, offset: number, value: number): Edit => {
  return (view, bytes) => view.setUint32(after(bytes, text) + offset, value, true)
}
const u64 = (text: string, offset: number, value: bigint): Edit => {
  return (view, bytes) => view.setBigUint64(after(bytes, text) + offset, value, true)
}

describe('a damaged file is refused with the field and its byte offset', () => {
  it.each<[string, Partial<GgufContent>, Edit, string]>([
    ['another magic', one, (view) => view.setUint8(0, 88), 'magic at byte 0: "XGUF" is not "GGUF"'],
    ['version 1', one, (view) => view.setUint32(4, 1, true), 'version at byte 4: 1 is not supported'],
    ['version 0', one, (view) => view.setUint32(4, 0, true), 'version at byte 4: 0 is not supported'],
    ['version 4', one, (view) => view.setUint32(4, 4, true), 'version at byte 4: 4 is not supported'],
    ['big-endian', one, (view) => view.setUint32(4, 3, false), 'version at byte 4: a big-endian file'],
    [
      'too many tensors',
      one,
      (view) => view.setUint32(8, 1000, true),
      'tensor count at byte 8: 1000 tensors do',
    ],
    [
      'absurd tensor count',
      one,
      u64('GGUF', 4, 2n ** 64n - 1n),
      'tensor count at byte 8: 18446744073709551615 is',
    ],
    [
      'too many keys',
      one,
      (view) => view.setUint32(16, 2, true),
      'metadata count at byte 16: 2 entries do not',
    ],
    [
      'absurd key count',
      one,
      u64('GGUF', 12, 2n ** 53n),
      'metadata count at byte 16: 9007199254740992 is out',
    ],
    [
      'a key beyond the end',
      one,
      (view) => view.setUint32(24, 100, true),
      'metadata key 0 at byte 32: 100 bytes',
    ],
    [
      'a key too long',
      one,
      (view) => view.setUint32(24, 65_536, true),
      'metadata key 0 length at byte 24: 65536 is',
    ],
    ['an empty key', one, (view) => view.setUint32(24, 0, true), 'metadata key 0 at byte 24: it is empty'],
    ['an unknown type', one, u32('k', 0, 13), 'k type at byte 33: 13 is no metadata type'],
    ['a value cut off', one, u32('k', 0, 10), 'k at byte 37: 8 bytes wanted, the file has 4 left'],
    ['a string value too long', one, u32('k', 0, 8), 'k length at byte 37: 8 bytes wanted'],
    ['nested arrays', strings, u32('k', 4, 9), 'k element type at byte 37: arrays of arrays'],
    ['an unknown element type', strings, u32('k', 4, 99), 'k element type at byte 37: 99 is no'],
    ['an array too long', strings, u64('k', 8, 4n), 'k count at byte 41: 4 elements do not fit'],
    [
      'an absurd array',
      strings,
      u64('k', 8, 2n ** 61n),
      'k count at byte 41: 2305843009213693952 is out of range',
    ],
    [
      'an inflated element',
      strings,
      u64('k', 16, 2n ** 40n),
      'k[0] length at byte 49: 1099511627776 bytes wanted',
    ],
    ['an inflated last element', strings, u64('one', 0, 4n), 'k[1] length at byte 60: 4 bytes wanted'],
    [
      'an element short of a length',
      uneven,
      u64('k', 8, 3n),
      'k at byte 74: 8 bytes wanted, the file has 0 left',
    ],
    ['five dimensions', tensor, u32('weight', 0, 5), 'weight dimension count at byte 38: 5 is more than 4'],
    ['a dimension of 0', tensor, u64('weight', 4, 0n), 'weight dimension 0 at byte 42: it is 0'],
    [
      'an absurd dimension',
      tensor,
      u64('weight', 4, 2n ** 62n),
      'weight dimension 0 at byte 42: 4611686018427387904',
    ],
    [
      'overflowing dimensions',
      tensor,
      u64('weight', 12, 2n ** 49n),
      'weight dimension 1 at byte 50: 562949953421312 makes',
    ],
    ['an unknown tensor type', tensor, u32('weight', 20, 4), 'weight type at byte 58: 4 is no tensor type'],
    [
      'rows that split a block',
      tensor,
      u32('weight', 20, 2),
      'weight type at byte 58: Q4_0 needs rows of a multiple of 32',
    ],
    [
      'a misaligned offset',
      tensor,
      u64('weight', 24, 4n),
      'weight offset at byte 24: 4 is no multiple of the alignment 32',
    ],
    [
      'an offset beyond the end',
      tensor,
      u64('weight', 24, 32n),
      'weight data at byte 128: it ends at byte 256, the file at 224',
    ],
    [
      'an absurd offset',
      tensor,
      u64('weight', 24, 2n ** 63n),
      'weight offset at byte 62: 9223372036854775808 is out',
    ],
    [
      'a larger tensor than the file',
      tensor,
      u64('weight', 12, 5n),
      'weight data at byte 96: it ends at byte 256',
    ],
    [
      'overlapping data',
      two,
      u64('other', 24, 96n),
      'other offset at byte 69: its data overlap those of first',
    ],
    [
      'a tensor name too long',
      tensor,
      (view) => view.setUint32(24, 64, true),
      'tensor 0 name length at byte 24: 64 is',
    ],
    [
      'an empty tensor name',
      tensor,
      (view) => view.setUint32(24, 0, true),
      'tensor 0 name at byte 24: it is empty',
    ],
  ])('%s', (_, content, edit, message) => {
    const source = memorySource(edited(content, edit))
    const error = refusal(() => readGguf(source))
    expect(error.message).toContain(`model.gguf: bad GGUF: ${message}`)
    expect(source.isClosed()).toBe(true)
  })

  it('keys and tensors that are there twice', () => {
    expect(refusal(() => read({ metadata: [...one.metadata, ...one.metadata] })).message).toContain(
      'metadata key 1 at byte 41: "k" is there twice',
    )
    expect(refusal(() => read({ tensors: [...tensor.tensors, ...tensor.tensors] })).message).toContain(
      'tensor 1 name at byte 70: weight is there twice',
    )
  })

  it.each<[MetadataEntry]>([
    [{ key: 'general.alignment', type: 'u32', value: 0 }],
    [{ key: 'general.alignment', type: 'u32', value: 48 }],
    [{ key: 'general.alignment', type: 'u64', value: 32 }],
    [{ key: 'general.alignment', type: 'string', value: '32' }],
  ])('an alignment that is no power of two of its type', (entry) => {
    const error = refusal(() => read({ metadata: [entry] }))
    expect(error.message).toContain('general.alignment at byte 49: it must be a power of two of type u32')
  })

  it('anything cut off, at every length', () => {
    const content = { metadata: [...scalars, ...arrays], tensors: llamaTensors() }
    const whole = encodeFile(content)
    const lengths = [...Array(encodeHeader(content).length).keys(), whole.length - 32]
    for (const length of lengths) refusal(() => readGguf(memorySource(whole.subarray(0, length))))
  })

  it('without control characters from the file, on one line', () => {
    const key = `evil\n\u001b[31m\u2028${'x'.repeat(500)}`
    const bytes = edited(
      { metadata: [{ key, type: 'u32', value: 1 }] },
      u32('xxx'.repeat(100) + 'x'.repeat(200), 0, 77),
    )
    const { message } = refusal(() => readGguf(memorySource(bytes)))
    expect(message).toContain('evil??[31m?xxx')
    expect(message.length).toBeLessThan(400)
  })
})

describe('files on disk', () => {
  const dir = mkdtempSync(join(tmpdir(), 'gguf-reader-'))
  afterAll(() => rmSync(dir, { recursive: true }))

  it('are read and can be closed', () => {
    const path = join(dir, 'good.gguf')
    writeFileSync(path, encodeFile({ metadata: [...scalars, ...arrays], tensors: llamaTensors() }))
    const gguf = openGguf(path)
    expect(gguf.getStrings('k.strings')).toEqual(['', 'one', 'zwei'])
    expect(gguf.tensors.size).toBe(20)
    gguf.close()
    gguf.close()
    expect(() => gguf.getStrings('k.strings')).toThrow('after it was closed')
  })

  it('are refused when they are missing, no regular file, or empty', () => {
    const empty = join(dir, 'empty.gguf')
    writeFileSync(empty, '')
    expect(refusal(() => openGguf(join(dir, 'none.gguf'))).message).toContain(
      'none.gguf: cannot be opened (ENOENT)',
    )
    expect(refusal(() => openGguf(dir)).message).toContain('not a regular file')
    expect(refusal(() => openGguf(empty)).message).toContain(
      'magic at byte 0: 4 bytes wanted, the file has 0 left',
    )
  })

  it('that shrink while they are open are refused', () => {
    const path = join(dir, 'shrinks.gguf')
    writeFileSync(path, encodeFile({ metadata: arrays, tensors: [] }))
    const gguf = openGguf(path)
    writeFileSync(path, 'GGUF')
    expect(refusal(() => gguf.getStrings('k.strings')).message).toContain('became shorter')
    gguf.close()
  })
})

function refusal(action: () => unknown): ServingError {
  try {
    action()
  } catch (error) {
    if (!(error instanceof ServingError)) throw error
    expect(error.code).toBe('INVALID_MODEL')
    expect(error.message).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
    return error
  }
  throw new Error('it was accepted')
}
