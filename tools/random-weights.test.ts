import { describe, expect, it } from 'vitest'

import { findTensorType, type TensorType } from '../src/model/gguf-types.ts'
import { fittingType, quantise, randomTensor } from './random-weights.ts'

function typeOf(name: string): TensorType {
  const type = findTensorType(name)
  if (type === undefined) throw new Error(`no type ${name}`)
  return type
}

/** Copied: a piece lives only until the next. */
function piecesOf(
  type: string,
  shape: number[],
  distribution = { mean: 0, spread: 1 },
  seed = 1,
): Uint8Array[] {
  const result: Uint8Array[] = []
  for (const piece of randomTensor({ type: typeOf(type), shape, distribution, seed }))
    result.push(piece.slice())
  return result
}

const bytesOf = (...of: Parameters<typeof piecesOf>): Buffer => Buffer.concat(piecesOf(...of))

const floats = (bytes: Buffer) =>
  new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))

describe('random tensors', () => {
  it('lie uniformly around their mean', () => {
    const values = floats(bytesOf('F32', [512, 200], { mean: 1, spread: 0.5 }))
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length
    expect(mean).toBeCloseTo(1, 2)
    expect(Math.sqrt(variance)).toBeCloseTo(0.5 / Math.sqrt(3), 2)
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0.5)
    expect(Math.max(...values)).toBeLessThan(1.5)
  })

  it('have no two rows alike', () => {
    const bytes = bytesOf('Q4_0', [64, 5000])
    const rows = Array.from({ length: 5000 }, (_, row) =>
      bytes.subarray(row * 36, row * 36 + 36).toString('hex'),
    )
    expect(new Set(rows).size).toBe(5000)
  })

  it('depend on the seed alone, not on how they are cut into pieces', () => {
    const large = floats(bytesOf('F32', [1024, 3000]))
    expect(large.length).toBe(3_072_000)
    expect(piecesOf('F32', [1024, 3000]).length).toBeGreaterThan(1)
    const small = floats(bytesOf('F32', [1024, 10]))
    expect(large.subarray(0, small.length)).toEqual(small)
    expect(floats(bytesOf('F32', [1024, 10], { mean: 0, spread: 1 }, 2))).not.toEqual(small)
  })
})

describe('quantising', () => {
  it.each([
    ['F32', 4],
    ['F16', 2],
    ['BF16', 2],
  ])('keeps exact values exact in %s', (name, width) => {
    const bytes = quantise(typeOf(name), Float32Array.from([1, -2, 0.5, 0]), 4)
    expect(bytes.length).toBe(4 * width)
    // A one in each of the three formats.
    const one = { F32: '0000803f', F16: '003c', BF16: '803f' }[name]
    expect(Buffer.from(bytes.subarray(0, width)).toString('hex')).toBe(one)
  })

  it('stores Q8_0 as a half-precision scale and 32 signed bytes', () => {
    const values = Float32Array.from({ length: 32 }, (_, index) => index - 16)
    const bytes = quantise(typeOf('Q8_0'), values, 32)
    expect(bytes.length).toBe(34)
    expect(new Int8Array(bytes.slice(2).buffer)[0]).toBe(-127)
    expect(new Int8Array(bytes.slice(2).buffer)[16]).toBe(0)
  })
})

it('a type that rows do not fit falls back to one that they do', () => {
  const fit = (name: string, length: number) => fittingType(typeOf(name), length).name
  expect(fit('Q4_K', 512)).toBe('Q4_K')
  expect(fit('Q4_K', 896)).toBe('Q5_0')
  expect(fit('Q6_K', 896)).toBe('Q8_0')
  expect(fit('Q4_0', 896)).toBe('Q4_0')
  expect(fit('Q6_K', 100)).toBe('F16')
  expect(fit('F32', 7)).toBe('F32')
})
