import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RandomStream } from '../core/random.ts'
import { StagingMemory } from './staging-memory.ts'

const wordMask = 2n ** 32n - 1n
const sumMask = 2n ** 64n - 1n

/** NH as it is written down, word by word. */
function naiveChecksum(bytes: Uint8Array, seal: number): bigint {
  const padded = new Uint8Array(Math.ceil(bytes.length / 64) * 64)
  padded.set(bytes)
  const words = Array.from(new Uint32Array(padded.buffer), BigInt)
  const random = new RandomStream(0x4e48)
  const key = Array.from({ length: 4096 / 4 + 2 * Math.ceil(bytes.length / 4096) + 2 }, () =>
    BigInt(random.below(2 ** 32)),
  )
  const product = (first: bigint, second: bigint, at: number): bigint =>
    ((first + key[at]!) & wordMask) * ((second + key[at + 1]!) & wordMask)
  let sum = 0n
  let at2 = 1024
  for (let start = 0; start < words.length; start += 1024) {
    let piece = 0n
    const end = Math.min(words.length, start + 1024)
    for (let at = start; at < end; at += 8) {
      for (let lane = at; lane < at + 4; lane += 1) {
        const first = (words[lane]! + key[lane - start]!) & wordMask
        const second = (words[lane + 4]! + key[lane - start + 4]!) & wordMask
        piece = (piece + first * second) & sumMask
      }
    }
    sum += product(piece & wordMask, piece >> 32n, at2)
    at2 += 2
  }
  return (sum + product(BigInt(seal >>> 0), BigInt(padded.length), at2)) & sumMask
}

const randomBytes = (length: number): Uint8Array => {
  const random = new RandomStream(length)
  return Uint8Array.from({ length }, () => random.below(256))
}

describe('the checksum of a block', () => {
  it('is the one of the definition, wherever the block lies and however long it is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), fc.integer(), (length, seal) => {
        const staging = new StagingMemory(length, length)
        const block = randomBytes(length)
        const staged = staging.take(length)
        staged.set(block)
        const expected = naiveChecksum(block, seal)
        expect(staging.checksum(block, seal)).toBe(expected)
        expect(staging.checksum(staged, seal)).toBe(expected)
      }),
      { numRuns: 30 },
    )
  })

  it('differs for every flipped bit, every seal and every point where a write may tear', () => {
    const length = 8192
    const staging = new StagingMemory(length, 0)
    const block = randomBytes(length)
    const sums = new Set([staging.checksum(block, 7), staging.checksum(block, 8)])
    for (let bit = 0; bit < 8 * length; bit += 1) {
      block[bit >> 3]! ^= 1 << (bit & 7)
      sums.add(staging.checksum(block, 7))
      block[bit >> 3]! ^= 1 << (bit & 7)
    }
    const other = randomBytes(length + 1).subarray(0, length)
    for (let torn = 512; torn < length; torn += 512) {
      sums.add(staging.checksum(Uint8Array.of(...block.subarray(0, torn), ...other.subarray(torn)), 7))
    }
    expect(sums.size).toBe(2 + 8 * length + length / 512 - 1)
  })

  it('does not depend on who computes it: another process reads the same file', () => {
    const block = randomBytes(4096 + 64)
    expect(new StagingMemory(block.length, 0).checksum(block, 3)).toBe(6868833536726324066n)
  })
})
