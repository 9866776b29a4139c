/**
 * One engine under a virtual clock: the scheduler and the KV manager that serve real requests, and a latency model in
 * the place of the kernels. As in `engine/step-loop.ts`, what arrives during a step is seen at its end.
 */
import { invariant } from '../core/errors.ts'
import type { GenerationRequest } from '../core/request.ts'
import { micros, type Micros, type RequestId } from '../core/units.ts'
import { evictionPolicies, type EvictionName } from '../kvcache/eviction/index.ts'
import { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { Admission } from '../scheduler/admission.ts'
import { policies, type PolicyName } from '../scheduler/policies/index.ts'
import type { PolicyOptions } from '../scheduler/policy.ts'
import { Scheduler, type SchedulerConfig, type SequenceResult } from '../scheduler/scheduler.ts'
import type { SequenceView } from '../scheduler/sequence.ts'
import type { StepPlan } from '../scheduler/step-plan.ts'
import { shapeOf, type LatencyModel } from './latency/latency-model.ts'
import { answerToken } from './prompt-runs.ts'
import { StepTimes } from './step-times.ts'

/** What of an engine decides about plans; plain data. */
export interface PlannerOptions {
  readonly scheduler: Omit<SchedulerConfig, 'endTokenIds'>
  readonly policy: PolicyName
  readonly policyOptions: Omit<PolicyOptions, 'numCachedTokens'>
  readonly numBlocks: number
  readonly blockSize: number
  /** Undefined: no prefix cache. */
  readonly eviction: EvictionName | undefined
}

export interface Planner {
  readonly scheduler: Scheduler
  readonly kv: KvCacheManager
}

/** As an engine builds them. @throws {ServingError} INVALID_CONFIG */
export function createPlanner(options: PlannerOptions, endTokenIds: readonly number[] = []): Planner {
  const { eviction } = options
  const kv = new KvCacheManager(options, eviction && { eviction: evictionPolicies[eviction](), seed: 1 })
  const numCachedTokens = ({ keys, tokens }: SequenceView): number =>
    kv.findPrefix(keys, tokens.length - 1).numTokens
  const policy = policies[options.policy]({ ...options.policyOptions, numCachedTokens })
  return { kv, scheduler: new Scheduler({ ...options.scheduler, endTokenIds }, kv, policy) }
}

export class SimulatedEngine {
  readonly steps = new StepTimes()
  readonly #planner: Planner
  readonly #latency: LatencyModel
  /** What every entry of a step samples; entries that do not sample ignore it. */
  readonly #sampled: number[] = []
  #plan: StepPlan | undefined
  #duration = 0
  #busyMicros = 0

  constructor(options: PlannerOptions, latency: LatencyModel) {
    this.#planner = createPlanner(options)
    this.#latency = latency
  }

  get numPreemptions(): number {
    return this.#planner.scheduler.numPreemptionsTotal
  }

  get numUnfinished(): number {
    const { numRunning, numWaiting } = this.#planner.scheduler
    return numRunning + numWaiting
  }

  get isBusy(): boolean {
    return this.#plan !== undefined
  }

  /** Time spent in steps. */
  get busyMicros(): number {
    return this.#busyMicros
  }

  get planner(): Planner {
    return this.#planner
  }

  submit(request: GenerationRequest): Admission {
    return this.#planner.scheduler.add(request)
  }

  cancel(id: RequestId): void {
    this.#planner.scheduler.cancel(id)
  }

  /** Begins the next step and says when it ends; undefined when there is nothing to do. */
  begin(now: Micros): { readonly plan: StepPlan; readonly endsAt: Micros } | undefined {
    const { scheduler } = this.#planner
    invariant(this.#plan === undefined, 'a step is under way')
    // A plan comes out empty when all it did was to preempt; the one after it cannot.
    this.#plan = scheduler.schedule(now) ?? scheduler.schedule(now)
    if (this.#plan === undefined) {
      invariant(scheduler.isIdle, 'nothing can run, but somebody waits')
      return undefined
    }
    this.#duration = Math.max(1, Math.round(this.#latency.stepMicros(shapeOf(this.#plan))))
    return { plan: this.#plan, endsAt: micros(now + this.#duration) }
  }

  /** The step under way is over. */
  end(now: Micros): readonly SequenceResult[] {
    const plan = this.#plan
    invariant(plan !== undefined, 'no step is under way')
    this.#plan = undefined
    this.#busyMicros += this.#duration
    this.steps.push(now)
    while (this.#sampled.length < plan.entries.length) this.#sampled.push(answerToken)
    return this.#planner.scheduler.update(plan, this.#sampled, now, this.#duration)
  }
}
