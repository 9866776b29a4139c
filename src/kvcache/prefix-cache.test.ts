import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NaiveKv } from '../../test/support/naive-kv.ts'
import { toSequenceId } from '../core/units.ts'
import { evictionNames, evictionPolicies, type EvictionName } from './eviction/index.ts'
import { KvCacheManager } from './kv-cache-manager.ts'

const blockSize = 4

const managerOf = (numBlocks: number, eviction: EvictionName = 'value') =>
  new KvCacheManager({ numBlocks, blockSize }, { eviction: evictionPolicies[eviction](), seed: 9 })

const command = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('start' as const),
      namespace: fc.constantFrom('', 'a', 'b'),
      tokens: fc
        .tuple(fc.nat(14), fc.array(fc.nat(1), { minLength: 1, maxLength: 8, size: 'max' }))
        .map(([numCommon, own]) => [...Array.from({ length: numCommon }, () => 0), ...own]),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('compute' as const),
      index: fc.nat(5),
      numTokens: fc.integer({ min: 1, max: 12 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('free' as const, 'discard' as const), index: fc.nat(5) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('step' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact' as const) }) },
)

describe('the prefix cache', () => {
  it.each(evictionNames)(
    'offers exactly blocks of equal content, of its namespace, and loses none without need (%s)',
    (eviction) => {
      const sums = { hits: 0, copies: 0, evictions: 0, joined: 0 }
      fc.assert(
        fc.property(
          fc.array(command, { maxLength: 80, size: 'max' }),
          fc.oneof(fc.integer({ min: 6, max: 14 }), fc.constant(1000)),
          (commands, numBlocks) => {
            const kv = managerOf(numBlocks, eviction)
            const model = new NaiveKv(kv)
            for (const each of commands) {
              if (each.kind === 'start') model.start(each.namespace, [...each.tokens])
              else if (each.kind === 'step') kv.endStep()
              else if (each.kind === 'compact') {
                // A step is planned once.
                kv.endStep()
                sums.joined += model.compact()
              } else {
                const sequence = model.live[each.index]
                if (sequence === undefined) continue
                // Copies are over before their sequence is.
                kv.endStep()
                if (each.kind === 'discard') model.hasDiscarded = true
                if (each.kind === 'compute') model.compute(sequence, each.numTokens)
                else model.free(sequence, each.kind === 'discard')
              }
              kv.checkInvariants()
            }
            kv.endStep()
            kv.abandonCompaction()
            model.checkCounts()
            for (const sequence of [...model.live]) model.free(sequence)
            expect(kv.numAvailableBlocks).toBe(numBlocks)
            kv.checkInvariants()
            sums.hits += kv.stats.numHitTokens
            sums.copies += kv.stats.numCopiedBlocks
            sums.evictions += kv.stats.numEvictedForRoom
          },
        ),
        { numRuns: 150 },
      )
      expect(sums.hits).toBeGreaterThan(500)
      expect(sums.copies).toBeGreaterThan(25)
      expect(sums.evictions).toBeGreaterThan(15)
      expect(sums.joined).toBeGreaterThan(0)
    },
  )

  it('goes on in the half-filled last block of a sequence that ended, rather than copy it', () => {
    const kv = managerOf(16)
    const before = serve(kv, 1, [1, 2, 3, 4, 5, 6])
    const started = start(kv, 2, [1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(started).toEqual({ numTokens: 6, copy: undefined })
    expect(kv.extentsOf(toSequenceId(2))).toEqual([{ start: before[0]!.start, length: 3 }])
  })

  it('copies a half-filled block that somebody is filling on', () => {
    const kv = managerOf(16)
    start(kv, 1, [1, 2, 3, 4, 5, 6])
    kv.noteComputed(toSequenceId(1), 6)
    kv.noteTail(toSequenceId(1), 6)
    const started = start(kv, 2, [1, 2, 3, 4, 5, 6, 7])
    const [own] = kv.extentsOf(toSequenceId(1))
    expect(started?.numTokens).toBe(6)
    expect(started?.copy).toMatchObject({ from: own!.start + 1, numTokens: 2 })
  })

  it('finds the common beginning of the block in which prompts part, from the third one on', () => {
    const kv = managerOf(16)
    const prompt = (own: number) => [1, 2, 3, 4, 5, 6, own, own, own]
    serve(kv, 1, prompt(7))
    expect(start(kv, 2, prompt(8))?.numTokens).toBe(4)
    kv.noteComputed(toSequenceId(2), 9)
    kv.free(toSequenceId(2))
    expect(start(kv, 3, prompt(9))?.numTokens).toBe(6)
  })

  it('uses one block where two sequences computed the same', () => {
    const kv = managerOf(16)
    const tokens = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    for (const id of [1, 2]) start(kv, id, [...tokens])
    expect(kv.stats.numOwnedBlocks).toBe(6)
    for (const id of [1, 2]) kv.noteComputed(toSequenceId(id), 8)
    expect(kv.stats.numOwnedBlocks).toBe(4)
    kv.checkInvariants()
  })

  it('evicts the ends of prefixes before what they continue', () => {
    const kv = managerOf(8, 'lru')
    serve(kv, 1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
    serve(kv, 2, [20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32])
    const keys = kv.createKeys('', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])!
    expect(kv.findPrefix(keys, 12).numBlocks).toBe(3)
    serve(kv, 3, [40, 41, 42, 43, 44, 45, 46])
    const { numBlocks } = kv.findPrefix(keys, 12)
    expect(numBlocks).toBeGreaterThan(0)
    expect(numBlocks).toBeLessThan(3)
  })

  it('forgets what a sequence computed whose logits were broken', () => {
    const kv = managerOf(16)
    const tokens = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    start(kv, 1, tokens)
    kv.noteComputed(toSequenceId(1), 8)
    kv.discard(toSequenceId(1))
    expect(start(kv, 2, tokens)?.numTokens).toBe(0)
  })
})

function start(kv: KvCacheManager, number: number, tokens: number[]) {
  const id = toSequenceId(number)
  const keys = kv.createKeys('', tokens)
  const sizes = { numTokens: tokens.length, maxTokens: tokens.length, numPromptTokens: tokens.length }
  return kv.start({ id, keys, retention: 1, ...sizes }, kv.findPrefix(keys, tokens.length - 1))
}

/** Starts a sequence, computes all of it, and ends it. Where it was. */
function serve(kv: KvCacheManager, number: number, tokens: number[]) {
  const id = toSequenceId(number)
  start(kv, number, tokens)
  const extents = kv.extentsOf(id)
  kv.noteComputed(id, tokens.length)
  kv.noteTail(id, tokens.length)
  kv.free(id)
  kv.endStep()
  return extents
}
