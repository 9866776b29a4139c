import type { SchedulingPolicy } from '../policy.ts'
import { fcfs } from './fcfs.ts'

/** Every policy by the name users know it by. Flags, docs and the contract suite derive from this. */
export const policies = { fcfs } as const satisfies Record<string, () => SchedulingPolicy>

export type PolicyName = keyof typeof policies

export const policyNames = Object.keys(policies) as [PolicyName, ...PolicyName[]]
