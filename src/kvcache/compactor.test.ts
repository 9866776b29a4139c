import { describe, expect, it } from 'vitest'
import { toBlockId, toSequenceId } from '../core/units.ts'
import type { BlockCopy } from './block-copy.ts'
import { chooseMove, type Fragmented } from './compaction.ts'
import { evictionPolicies } from './eviction/index.ts'
import type { Extent } from './extent.ts'
import { KvCacheManager } from './kv-cache-manager.ts'

const blockSize = 4
const id = toSequenceId
const extent = (start: number, length: number): Extent => ({ start: toBlockId(start), length })

function fragmented(extents: readonly Extent[], more: Partial<Fragmented> = {}): Fragmented {
  return { extents, firstMovable: 0, freeBehind: () => 0, longestFreeRun: 0, ...more }
}

describe('the choice of what to move', () => {
  it('takes the end that saves most extents for each block', () => {
    const extents = [extent(0, 50), extent(60, 2), extent(70, 3)]
    const behindFirst = (block: number) => (block === 49 ? 8 : 0)
    expect(chooseMove(fragmented(extents, { freeBehind: behindFirst, longestFreeRun: 8 }))).toEqual({
      first: 50,
      numBlocks: 5,
      after: toBlockId(49),
    })
    expect(chooseMove(fragmented(extents, { longestFreeRun: 8 }))).toEqual({
      first: 50,
      numBlocks: 5,
      after: undefined,
    })
  })

  it('leaves what others use, what is too long for any run, and what is in one piece', () => {
    const extents = [extent(0, 50), extent(60, 4)]
    expect(chooseMove(fragmented(extents, { longestFreeRun: 53 }))).toBeUndefined()
    expect(chooseMove(fragmented(extents, { longestFreeRun: 54 }))?.first).toBe(0)
    expect(chooseMove(fragmented(extents, { longestFreeRun: 54, firstMovable: 1 }))).toBeUndefined()
    expect(chooseMove(fragmented([extent(3, 9)], { longestFreeRun: 100 }))).toBeUndefined()
  })
})

/** Two sequences whose blocks lie among each other's: 1 is in `numPieces` extents. 2 has gone. */
function interleaved(kv: KvCacheManager, numPieces: number): void {
  for (let piece = 1; piece <= numPieces; piece += 1) {
    kv.grow(id(1), piece * 3 * blockSize)
    kv.noteComputed(id(1), piece * 3 * blockSize)
    kv.grow(id(2), piece * 2 * blockSize)
  }
  kv.free(id(2))
}

/** The copies of every step until nothing is left to do. */
function compactAll(kv: KvCacheManager): (readonly BlockCopy[])[] {
  const steps: (readonly BlockCopy[])[] = []
  for (let copies = kv.compact(); copies.length > 0; copies = kv.compact()) {
    steps.push(copies)
    kv.checkInvariants()
    kv.endStep()
    kv.checkInvariants()
  }
  return steps
}

describe('compaction', () => {
  it('brings a sequence into one extent, some blocks a step', () => {
    const kv = new KvCacheManager({ numBlocks: 100, blockSize })
    interleaved(kv, 6)
    expect(kv.extentsOf(id(1)).length).toBe(6)
    const steps = compactAll(kv)
    expect(kv.extentsOf(id(1))).toHaveLength(1)
    expect(Math.max(...steps.map((copies) => copies.length))).toBeLessThanOrEqual(9)
    expect(kv.stats.numCompactedBlocks).toBe(steps.flat().length)
    expect(kv.numFreeRuns).toBeLessThanOrEqual(2)
  })

  it('gives a move up when its room is wanted, and when its sequence ends', () => {
    const kv = new KvCacheManager({ numBlocks: 64, blockSize })
    interleaved(kv, 6)
    expect(kv.compact().length).toBeGreaterThan(0)
    kv.endStep()
    expect(kv.grow(id(3), (64 - 18) * blockSize)).toBe(true)
    expect(kv.extentsOf(id(1)).length).toBe(6)
    kv.free(id(3))
    expect(kv.compact().length).toBeGreaterThan(0)
    kv.endStep()
    kv.free(id(1))
    expect(kv.numAvailableBlocks).toBe(64)
    expect(kv.abandonCompaction()).toBe(false)
  })

  it('keeps what it moved findable, and lets others have the old place once the step is over', () => {
    const kv = new KvCacheManager(
      { numBlocks: 40, blockSize },
      { eviction: evictionPolicies.value(), seed: 3 },
    )
    const tokens = Array.from({ length: 32 }, (_, index) => index)
    const keys = kv.createKeys('', tokens)
    const sizes = { numTokens: 8, maxTokens: 8, numPromptTokens: 8 }
    kv.start({ id: id(1), keys, retention: 1, ...sizes }, kv.findPrefix(keys, 7))
    for (let count = 2; count <= 8; count += 1) {
      kv.grow(id(2), count * blockSize)
      kv.grow(id(1), count * blockSize)
    }
    kv.noteComputed(id(1), 32)
    kv.free(id(2))
    const before = kv.extentsOf(id(1))
    expect(before.length).toBeGreaterThan(1)
    const steps = compactAll(kv)
    expect(steps.length).toBeGreaterThan(0)
    expect(kv.extentsOf(id(1))).toHaveLength(1)
    const other = kv.createKeys('', [...tokens, 7])
    expect(kv.findPrefix(other, 32).numBlocks).toBe(8)
    kv.free(id(1))
    expect(kv.findPrefix(other, 32).numBlocks).toBe(8)
    kv.checkInvariants()
  })

  it('moves nothing that two sequences share', () => {
    const kv = new KvCacheManager(
      { numBlocks: 40, blockSize },
      { eviction: evictionPolicies.value(), seed: 3 },
    )
    const tokens = Array.from({ length: 17 }, (_, index) => index)
    const sizes = { numTokens: 17, maxTokens: 40, numPromptTokens: 17 }
    for (const who of [1, 2]) {
      const keys = kv.createKeys('', tokens)
      kv.start({ id: id(who), keys, retention: 1, ...sizes }, kv.findPrefix(keys, 16))
      kv.noteComputed(id(who), 17)
    }
    const shared = kv.extentsOf(id(1))[0]!
    compactAll(kv)
    expect(kv.extentsOf(id(1))[0]!.start).toBe(shared.start)
    expect(kv.extentsOf(id(2))[0]!.start).toBe(shared.start)
  })
})
