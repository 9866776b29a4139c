import { describe, expect, it } from 'vitest'
import { describeEvictionContract } from './eviction.contract.ts'
import { evictionNames, evictionPolicies } from './index.ts'
import { value } from './value.ts'

describe.each(evictionNames)('the eviction policy %s', (name) => {
  it('is known by its own name', () => {
    expect(evictionPolicies[name]().name).toBe(name)
  })

  describeEvictionContract(() => evictionPolicies[name]())
})

describe('eviction by value', () => {
  const plain = { step: 1, position: 0, numReuses: 0, retention: 1 }

  it('prefers what costs more to compute again, came back before, or is wished to stay', () => {
    const policy = value()
    const least = policy.priorityOf(plain)
    for (const better of [{ position: 4096 }, { numReuses: 1 }, { retention: 2 }]) {
      expect(policy.priorityOf({ ...plain, ...better })).toBeGreaterThan(least)
    }
  })

  it('prefers what is new to what was worth more once', () => {
    const policy = value()
    const old = policy.priorityOf({ ...plain, retention: 2 })
    for (const priority of [1, 1.5, 2.5]) policy.onEvict?.(priority)
    expect(policy.priorityOf({ ...plain, step: 2 })).toBeGreaterThan(old)
  })
})
