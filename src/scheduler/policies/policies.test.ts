import { describe, expect, it } from 'vitest'
import { policies, policyNames } from './index.ts'
import { describePolicyContract } from './policy.contract.ts'

describe.each(policyNames)('the policy %s', (name) => {
  it('is known by its own name', () => {
    expect(policies[name]().name).toBe(name)
  })

  describePolicyContract(() => policies[name](), 30)
})
