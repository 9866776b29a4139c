import { describe, expect, it } from 'vitest'
import { RandomStream } from '../core/random.ts'
import { toSequenceId } from '../core/units.ts'
import { KvCacheManager } from './kv-cache-manager.ts'

const blockSize = 32

interface Grower {
  readonly id: ReturnType<typeof toSequenceId>
  length: number
  readonly finalLength: number
}

/** Sequences come with a prompt, grow token by token, and leave; returns the mean extents of those that leave. */
function meanExtents(numBlocks: number, targetUsage: number, knowsLength: boolean): number {
  const random = new RandomStream(11)
  const kv = new KvCacheManager({ numBlocks, blockSize })
  const growers: Grower[] = []
  let nextId = 1
  let numLeft = 0
  let numExtents = 0
  while (numLeft < 1500) {
    while (kv.usage < targetUsage) {
      const length = 20 + random.below(800)
      const grower = { id: toSequenceId(nextId++), length, finalLength: length + 20 + random.below(600) }
      if (!kv.grow(grower.id, length, knowsLength ? grower.finalLength : length)) break
      growers.push(grower)
    }
    for (let index = growers.length - 1; index >= 0; index -= 1) {
      const grower = growers[index]!
      grower.length += 8
      const maxLength = knowsLength ? grower.finalLength : grower.length
      const goesOn = grower.length < grower.finalLength && kv.grow(grower.id, grower.length, maxLength)
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
    expect(meanExtents(4000, 0.5, true)).toBeLessThan(1.1)
  })

  it('stay below three in a pool that is four fifths full', () => {
    expect(meanExtents(4000, 0.8, true)).toBeLessThan(3)
  })

  it('are several times as many when blocks are placed without room to grow', () => {
    expect(meanExtents(4000, 0.8, false)).toBeGreaterThan(3 * meanExtents(4000, 0.8, true))
  })
})
