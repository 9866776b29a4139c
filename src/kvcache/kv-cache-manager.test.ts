import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toSequenceId } from '../core/units.ts'
import { KvCacheManager } from './kv-cache-manager.ts'

const id = toSequenceId

describe('the KV cache manager', () => {
  it('grows a sequence in place while the next blocks are free', () => {
    const kv = new KvCacheManager({ numBlocks: 16, blockSize: 4 })
    for (let tokens = 1; tokens <= 40; tokens++) expect(kv.grow(id(1), tokens)).toBe(true)
    expect(kv.extentsOf(id(1))).toHaveLength(1)
    expect(kv.extentsOf(id(1))[0]?.length).toBe(10)
  })

  it('answers no, and changes nothing, when blocks run out', () => {
    const kv = new KvCacheManager({ numBlocks: 4, blockSize: 4 })
    expect(kv.grow(id(1), 9)).toBe(true)
    expect(kv.canGrow(id(2), 8)).toBe(false)
    expect(kv.grow(id(2), 8)).toBe(false)
    expect(kv.numAvailableBlocks).toBe(1)
    expect(kv.extentsOf(id(2))).toEqual([])
  })

  it('agrees with a naive model for any sequence of growths and frees', () => {
    const command = fc.record({
      sequence: fc.integer({ min: 0, max: 6 }),
      tokens: fc.integer({ min: -20, max: 60 }),
    })
    fc.assert(
      fc.property(
        fc.array(command, { maxLength: 80 }),
        fc.integer({ min: 1, max: 40 }),
        (commands, numBlocks) => {
          const kv = new KvCacheManager({ numBlocks, blockSize: 4 })
          const held = new Map<number, number>()
          const used = () => [...held.values()].reduce((sum, blocks) => sum + blocks, 0)
          for (const { sequence, tokens } of commands) {
            if (tokens < 0) {
              kv.free(id(sequence))
              held.delete(sequence)
            } else {
              const before = kv.extentsOf(id(sequence))
              const missing = Math.max(0, Math.ceil(tokens / 4) - (held.get(sequence) ?? 0))
              const fits = missing <= numBlocks - used()
              expect(kv.canGrow(id(sequence), tokens)).toBe(fits)
              expect(kv.grow(id(sequence), tokens)).toBe(fits)
              if (fits && missing > 0) held.set(sequence, (held.get(sequence) ?? 0) + missing)
              // What was there stays where it was: KV already computed does not move.
              for (const [index, extent] of before.entries()) {
                const now = kv.extentsOf(id(sequence))[index]
                expect(now?.start).toBe(extent.start)
                expect(now?.length).toBeGreaterThanOrEqual(extent.length)
              }
            }
            expect(kv.numAvailableBlocks).toBe(numBlocks - used())
            for (const [sequenceId, blocks] of held) expect(kv.capacityOf(id(sequenceId))).toBe(blocks * 4)
            kv.checkInvariants()
          }
        },
      ),
    )
  })
})
