/** All policies: a new one is a file and a line here. The CLI's choices and the contract test derive from this. */
import type { SchedulingPolicy } from '../policy.ts'
import { fcfs } from './fcfs.ts'

export const policies = { fcfs } as const satisfies Record<string, () => SchedulingPolicy>

export type PolicyName = keyof typeof policies
export const policyNames = Object.keys(policies) as [PolicyName, ...PolicyName[]]
