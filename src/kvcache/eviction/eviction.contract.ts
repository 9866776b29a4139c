/** What every eviction policy must keep, whatever it prefers. The suite runs on each entry of the registry. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { BlockUse, EvictionPolicy } from './policy.ts'

const uses: fc.Arbitrary<BlockUse> = fc.record({
  step: fc.nat(1_000_000),
  position: fc.nat(131_072),
  numReuses: fc.nat(65_535),
  retention: fc.double({ min: 1, max: 8, noNaN: true }),
})

/** Declares the tests of one policy; call inside `describe`. */
export function describeEvictionContract(createPolicy: () => EvictionPolicy): void {
  it('gives every block a finite, positive priority, however much was evicted before', () => {
    fc.assert(
      fc.property(fc.array(uses, { minLength: 1, maxLength: 30 }), (list) => {
        const policy = createPolicy()
        for (const use of list) {
          const priority = policy.priorityOf(use)
          expect(priority).toBeGreaterThan(0)
          expect(priority).toBeLessThan(Infinity)
          policy.onEvict?.(priority)
        }
      }),
    )
  })

  it('never prefers a block for being wished to stay less, used less often, or used earlier', () => {
    fc.assert(
      fc.property(uses, fc.nat(100), fc.nat(100), fc.nat(4), (use, steps, reuses, retention) => {
        const policy = createPolicy()
        const more = {
          ...use,
          step: use.step + steps,
          numReuses: use.numReuses + reuses,
          retention: use.retention + retention,
        }
        expect(policy.priorityOf(more)).toBeGreaterThanOrEqual(policy.priorityOf(use))
      }),
    )
  })

  it('lets go of anything in the end, while other blocks are used and evicted', () => {
    fc.assert(
      fc.property(uses, (wished) => {
        const policy = createPolicy()
        const priority = policy.priorityOf(wished)
        const plain = { position: 0, numReuses: 0, retention: 1 }
        for (let step = wished.step + 1; step < wished.step + 5000; step += 1) {
          const other = policy.priorityOf({ ...plain, step })
          if (other > priority) return
          policy.onEvict?.(other)
        }
        throw new Error(`kept a block of priority ${priority} for ever`)
      }),
      { numRuns: 30 },
    )
  })
}
