import type { PolicyOptions, SchedulingPolicy } from '../policy.ts'
import { deadline } from './deadline.ts'
import { fair } from './fair.ts'
import { fairSloProgram } from './fair-slo-program.ts'
import { fcfs } from './fcfs.ts'
import { program } from './program.ts'
import { slo } from './slo.ts'

/** Every policy by the name users know it by. Flags, docs and the contract suite derive from this. */
export const policies = {
  'fair+slo+program': fairSloProgram,
  fcfs,
  fair,
  slo,
  program,
  deadline,
} as const satisfies Record<string, (options?: PolicyOptions) => SchedulingPolicy>

export type PolicyName = keyof typeof policies

export const policyNames = Object.keys(policies) as [PolicyName, ...PolicyName[]]
