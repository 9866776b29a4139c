import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PrefixKeys } from '../kvcache/prefix-keys.ts'
import { answerToken, tokensOf } from './prompt-runs.ts'
import { runHasher } from './run-hasher.ts'
import { RunTokens } from './run-tokens.ts'

const token = fc.constantFrom(1, 2, answerToken)
const runs = fc.array(fc.record({ token, length: fc.integer({ min: 1, max: 9 }) }), { maxLength: 6 })

test('runs of tokens are the list that they stand for, however it grows', () => {
  const range = fc.tuple(fc.nat(60), fc.nat(60))
  fc.assert(
    fc.property(runs, fc.array(token), range, (made, more, [from, to]) => {
      const prompt = RunTokens.of(made)
      const tokens = tokensOf(made)
      const [grown, array] = [prompt.concat(more), tokens.concat(more)]
      expect([grown.push(2), grown.length]).toEqual([array.push(2), array.length])
      expect(Array.from({ length: array.length }, (_, index) => grown.at(index))).toEqual(array)
      expect(grown.at(array.length)).toBeUndefined()
      expect(grown.at(-1)).toBe(array.at(-1))
      expect(grown.slice(from, to)).toEqual(array.slice(from, to))
      expect(grown.slice(from, -1)).toEqual(array.slice(from, -1))
      expect(grown.slice(from)).toEqual(array.slice(from))
      expect(prompt.slice(0)).toEqual(tokens)
    }),
  )
})

test('runs have the keys of the list that they stand for', () => {
  fc.assert(
    fc.property(runs, fc.constantFrom(2, 4, 8), (made, blockSize) => {
      const ofRuns = new PrefixKeys(runHasher, blockSize, '', RunTokens.of(made))
      const ofArray = new PrefixKeys(runHasher, blockSize, '', tokensOf(made))
      expect(ofRuns.numBlocks).toBe(ofArray.numBlocks)
      for (let block = 0; block < ofRuns.numBlocks; block += 1) {
        expect(ofRuns.sharesBlock(ofArray, block)).toBe(true)
      }
    }),
  )
})
