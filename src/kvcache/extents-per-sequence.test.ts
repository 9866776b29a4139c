import { describe, expect, it } from 'vitest'
import { RandomStream } from '../core/random.ts'
import { toSequenceId } from '../core/units.ts'
import { evictionNames, evictionPolicies, type EvictionName } from './eviction/index.ts'
import { KvCacheManager } from './kv-cache-manager.ts'

const blockSize = 32

interface Grower {
  readonly id: ReturnType<typeof toSequenceId>
  length: number
  readonly finalLength: number
}

interface Load {
  readonly numBlocks: number
  readonly targetUsage: number
  readonly knowsLength: boolean
  readonly eviction?: EvictionName
}

/** Sequences come with a prompt, grow token by token, and leave; returns the mean extents of those that leave. */
function meanExtents({ numBlocks, targetUsage, knowsLength, eviction }: Load): number {
  const random = new RandomStream(11)
  const prefixCache = eviction && { eviction: evictionPolicies[eviction](), seed: 1 }
  const kv = new KvCacheManager({ numBlocks, blockSize }, prefixCache)
  const growers: Grower[] = []
  let nextId = 1
  let numLeft = 0
  let numExtents = 0
  while (numLeft < 1500) {
    while (kv.usage < targetUsage) {
      const length = 20 + random.below(800)
      const id = toSequenceId(nextId++)
      const grower = { id, length, finalLength: length + 20 + random.below(600) }
      const tokens = Array.from({ length: grower.finalLength + 8 }, () => random.below(50_000))
      const keys = kv.createKeys('', tokens)
      const maxTokens = knowsLength ? grower.finalLength : length
      const sizes = { numTokens: length, maxTokens, numPromptTokens: length, retention: 1 }
      if (!kv.start({ id, keys, ...sizes }, kv.findPrefix(keys, length - 1))) break
      growers.push(grower)
    }
    for (let index = growers.length - 1; index >= 0; index -= 1) {
      const grower = growers[index]!
      grower.length += 8
      const maxLength = knowsLength ? grower.finalLength : grower.length
      const goesOn = grower.length < grower.finalLength && kv.grow(grower.id, grower.length, maxLength)
      kv.noteComputed(grower.id, grower.length - 8)
      if (goesOn) continue
      numLeft += 1
      numExtents += kv.extentsOf(grower.id).length
      kv.free(grower.id)
      growers.splice(index, 1)
    }
  }
  return numExtents / numLeft
}

describe('extents of a sequence of some 23 blocks, under a random load', () => {
  it('are nearly one in a pool that is half full', () => {
    expect(meanExtents({ numBlocks: 4000, targetUsage: 0.5, knowsLength: true })).toBeLessThan(1.1)
  })

  it('stay below three in a pool that is four fifths full', () => {
    expect(meanExtents({ numBlocks: 4000, targetUsage: 0.8, knowsLength: true })).toBeLessThan(3)
  })

  it('are several times as many when blocks are placed without room to grow', () => {
    const load = { numBlocks: 4000, targetUsage: 0.8 }
    const planned = meanExtents({ ...load, knowsLength: true })
    expect(meanExtents({ ...load, knowsLength: false })).toBeGreaterThan(3 * planned)
  })

  it.each(evictionNames)('are about as few where the rest of the pool is cached (%s)', (eviction) => {
    const load = { numBlocks: 4000, targetUsage: 0.5, knowsLength: true }
    expect(meanExtents({ ...load, eviction })).toBeLessThan(2)
    expect(meanExtents({ ...load, targetUsage: 0.8, eviction })).toBeLessThan(3)
  })
})
