import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OrderedIntSet } from './ordered-int-set.ts'

describe('an ordered set of integers', () => {
  it('answers like a sorted array for any additions and deletions', () => {
    const limit = fc.constantFrom(1, 31, 32, 33, 1023, 1024, 1025, 40_000)
    const change = fc.record({
      add: fc.boolean(),
      at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    })
    fc.assert(
      fc.property(limit, fc.array(change, { maxLength: 60 }), (size, changes) => {
        const set = new OrderedIntSet(size)
        const members = new Set<number>()
        for (const { add, at } of changes) {
          const value = Math.floor(at * size)
          if (add) {
            set.add(value)
            members.add(value)
          } else {
            set.delete(value)
            members.delete(value)
          }
          const sorted = [...members].sort((a, b) => a - b)
          expect(set.last()).toBe(sorted.at(-1) ?? -1)
          for (const from of [0, value - 1, value, value + 1, size - 1]) {
            if (from < 0) continue
            expect(set.firstAtLeast(from)).toBe(sorted.find((member) => member >= from) ?? -1)
          }
        }
      }),
    )
  })
})
