import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RandomStream } from '../core/random.ts'
import { PrefixHasher, wordsPerKey } from './prefix-hasher.ts'
import { PrefixKeys } from './prefix-keys.ts'
import { SeenKeys } from './seen-keys.ts'

const keyOf = (keys: PrefixKeys, block: number) => {
  const at = keys.offsetOf(block)
  return keys.words.subarray(at, at + wordsPerKey).join()
}

describe('the keys of blocks', () => {
  const hasher = new PrefixHasher(1)
  const tokens = fc.array(fc.nat(3), { maxLength: 24, size: 'max' })

  it('are equal where namespace and all tokens up to the end of the block are, and nowhere else', () => {
    const known = new Map<string, string>()
    const namespace = fc.constantFrom('', 'a', 'b')
    fc.assert(
      fc.property(namespace, tokens, (name, list) => {
        const keys = new PrefixKeys(hasher, 4, name, list)
        for (let block = 0; block < keys.numBlocks; block += 1) {
          const content = `${name}:${list.slice(0, 4 * (block + 1)).join()}`
          const key = keyOf(keys, block)
          expect(known.get(key) ?? content).toBe(content)
          known.set(key, content)
        }
      }),
      { numRuns: 500 },
    )
    expect(known.size).toBe(new Set(known.values()).size)
  })

  it('do not depend on when they are asked for', () => {
    fc.assert(
      fc.property(tokens, fc.nat(24), (list, numEarly) => {
        const growing = list.slice(0, numEarly)
        const keys = new PrefixKeys(hasher, 4, '', growing)
        if (keys.numBlocks > 0) keyOf(keys, keys.numBlocks - 1)
        growing.push(...list.slice(numEarly))
        const whole = new PrefixKeys(hasher, 4, '', list)
        for (let block = 0; block < whole.numBlocks; block += 1) {
          expect(keyOf(keys, block)).toBe(keyOf(whole, block))
          expect(keys.sharesBlock(whole, block)).toBe(true)
        }
      }),
    )
  })

  it('are others under another seed', () => {
    const list = [1, 2, 3, 4]
    const other = new PrefixKeys(new PrefixHasher(2), 4, '', list)
    expect(keyOf(other, 0)).not.toBe(keyOf(new PrefixKeys(hasher, 4, '', list), 0))
  })

  it('change in about half of their bits when one bit of a token does', () => {
    const random = new RandomStream(3)
    const numBits: number[] = []
    for (let round = 0; round < 200; round += 1) {
      const list = Array.from({ length: 4 }, () => random.below(2 ** 17))
      const index = random.below(4)
      const changed = list.with(index, list[index]! ^ (1 << random.below(17)))
      const [a, b] = [list, changed].map((each) => new PrefixKeys(hasher, 4, '', each))
      a!.offsetOf(0)
      b!.offsetOf(0)
      let count = 0
      for (let word = wordsPerKey; word < 2 * wordsPerKey; word += 1) {
        for (let bits = a!.words[word]! ^ b!.words[word]!; bits !== 0; bits &= bits - 1) count += 1
      }
      numBits.push(count)
    }
    const mean = numBits.reduce((sum, count) => sum + count, 0) / numBits.length
    expect(mean).toBeGreaterThan(60)
    expect(mean).toBeLessThan(68)
    expect(Math.min(...numBits)).toBeGreaterThan(30)
  })
})

describe('the keys that were ever seen', () => {
  const hasher = new PrefixHasher(1)
  const keysOf = (first: number) =>
    new PrefixKeys(
      hasher,
      4,
      '',
      Array.from({ length: 40 }, (_, index) => (index === 0 ? first : index)),
    )

  it('are remembered in the thousands, in a row from the first one', () => {
    const seen = new SeenKeys(1_000_000)
    for (let first = 0; first < 1000; first += 1) {
      const keys = keysOf(first)
      for (let block = 0; block < first % 11; block += 1) seen.add(keys.words, keys.offsetOf(block))
    }
    for (let first = 0; first < 1000; first += 1) expect(seen.longest(keysOf(first), 10)).toBe(first % 11)
    expect(seen.longest(keysOf(10), 3)).toBe(3)
  })

  it('are no more than their limit', () => {
    const seen = new SeenKeys(5)
    const keys = keysOf(0)
    for (let block = 0; block < 10; block += 1) seen.add(keys.words, keys.offsetOf(block))
    expect(seen.isFull).toBe(true)
    expect(seen.longest(keys, 10)).toBe(5)
  })
})
