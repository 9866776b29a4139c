import type { ServiceClass } from '../core/service-class.ts'
import type { ExecutorOptions } from '../executor/executor-options.ts'
import type { EvictionName } from '../kvcache/eviction/index.ts'
import type { PolicyName } from '../scheduler/policies/index.ts'
import type { TokenPrices } from '../scheduler/policy.ts'
import type { TierOptions } from '../tiers/open-tiers.ts'

/** Everything an engine needs to know; plain data, because it crosses to the engine's process. */
export interface EngineOptions {
  readonly executor: ExecutorOptions
  readonly scheduler: SchedulerOptions
  /** How cached blocks are evicted; undefined: nothing is kept beyond the sequence that computed it. */
  readonly eviction?: EvictionName | undefined
  /** A new file for every step's plan; undefined: none is written. */
  readonly recordPlans?: string | undefined
  /** A new file for a trace of where each step's time goes; undefined: none is written. */
  readonly profile?: string | undefined
  /** Where evicted blocks go; undefined: nowhere. Needs `eviction`. */
  readonly tiers?: TierOptions | undefined
}

/** What a user decides about steps; the rest of the scheduler's configuration comes from the model. */
export interface SchedulerOptions {
  readonly maxNumSeqs: number
  readonly maxNumBatchedTokens: number
  /** Aim for steps no longer than this while anybody decodes; undefined: no aim. */
  readonly maxTbtMs: number | undefined
  readonly policy: PolicyName
  readonly serviceClasses?: readonly ServiceClass[] | undefined
  readonly prices?: TokenPrices | undefined
  /** Weighted tokens by which a tenant may fall behind for a prompt whose tokens are cached. */
  readonly localityTokens?: number | undefined
}
