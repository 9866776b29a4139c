import { describe } from 'vitest'
import { policies, policyNames } from '../../src/scheduler/policies/index.ts'
import { describePolicyContract } from '../../src/scheduler/policies/policy.contract.ts'

describe.each(policyNames)('the policy %s, under many random loads', (name) => {
  describePolicyContract(() => policies[name](), 300)
})
