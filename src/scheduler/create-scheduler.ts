import type { ServiceClass } from '../core/service-class.ts'
import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import { policies, type PolicyName } from './policies/index.ts'
import type { SchedulingPolicy, TokenPrices } from './policy.ts'
import type { SchedulerConfig } from './scheduler-config.ts'
import { Scheduler } from './scheduler.ts'
import type { SequenceView } from './sequence.ts'

/** What decides about plans, beside the KV cache; plain data. */
export interface PlanningOptions extends SchedulerConfig {
  readonly policy: PolicyName
  readonly serviceClasses?: readonly ServiceClass[] | undefined
  readonly prices?: TokenPrices | undefined
  readonly localityTokens?: number | undefined
}

/**
 * The scheduler as engines, simulations and replays have it.
 * @throws {ServingError} INVALID_CONFIG
 */
export function createScheduler(options: PlanningOptions, kv: KvCacheManager): Scheduler {
  return new Scheduler(options, kv, createPolicy(options, kv))
}

export function createPolicy(options: PlanningOptions, kv: KvCacheManager): SchedulingPolicy {
  const numCachedTokens = ({ keys, tokens }: SequenceView): number =>
    kv.findPrefix(keys, tokens.length - 1).numTokens
  return policies[options.policy]({ ...options, numCachedTokens })
}
