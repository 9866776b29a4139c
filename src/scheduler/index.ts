/** The scheduler without an engine around it: for simulators and for other servers. */
export { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
export type { Extent } from '../kvcache/extent.ts'
export type { SchedulingPolicy } from './policy.ts'
export { policies, policyNames, type PolicyName } from './policies/index.ts'
export { Scheduler, type SchedulerConfig, type SequenceResult } from './scheduler.ts'
export type { Admission } from './admission.ts'
export type { Sequence } from './sequence.ts'
export type { PlanEntry, StepPlan } from './step-plan.ts'
