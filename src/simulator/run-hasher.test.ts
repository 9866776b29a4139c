import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PrefixKeys } from '../kvcache/prefix-keys.ts'
import { runHasher } from './run-hasher.ts'

const blockSize = 4

test('two beginnings have the same key where they are the same, and nowhere else', () => {
  const tokens = fc.array(fc.nat(2), { maxLength: 24 })
  const namespace = fc.constantFrom('', 'a', 'aa', 'b')
  fc.assert(
    fc.property(tokens, tokens, namespace, namespace, (one, other, first, second) => {
      const [a, b] = [
        new PrefixKeys(runHasher, blockSize, first, one),
        new PrefixKeys(runHasher, blockSize, second, other),
      ]
      for (let block = 0; block < Math.min(a.numBlocks, b.numBlocks); block += 1) {
        const end = (block + 1) * blockSize
        const isSame = first === second && one.slice(0, end).join() === other.slice(0, end).join()
        expect(a.sharesBlock(b, block)).toBe(isSame)
      }
    }),
  )
})

test('a million blocks have a million keys, in every word about as many as chance allows', () => {
  const keys = new Int32Array(4)
  const numKeys = 1_000_000
  const seen = [0, 1, 2, 3].map(() => new Set<number>())
  for (let token = 0; token < numKeys; token += 1) {
    keys.fill(0)
    runHasher.hashBlock(keys, 0, 0, { tokens: [token, token, token, token], start: 0, length: 4 })
    seen.forEach((words, index) => words.add(keys[index]!))
  }
  // Of a million words of 32 bits, 116 are expected to have come before.
  for (const words of seen) expect(numKeys - words.size).toBeLessThan(232)
})
