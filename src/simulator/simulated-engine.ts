/**
 * One engine under a virtual clock: the scheduler and the KV manager that serve real requests, and a latency model in
 * the place of the kernels. As in `engine/step-loop.ts`, what arrives during a step is seen at its end.
 */
import { invariant } from '../core/errors.ts'
import type { GenerationRequest } from '../core/request.ts'
import { micros, type Micros } from '../core/units.ts'
import { evictionPolicies, type EvictionName } from '../kvcache/eviction/index.ts'
import { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { Admission } from '../scheduler/admission.ts'
import { createScheduler, type PlanningOptions } from '../scheduler/create-scheduler.ts'
import type { Scheduler, SequenceResult } from '../scheduler/scheduler.ts'
import type { StepPlan } from '../scheduler/step-plan.ts'
import { shapeOf, type LatencyModel } from './latency/latency-model.ts'
import { answerToken } from './prompt-runs.ts'
import { StepTimes } from './step-times.ts'

/** What of an engine decides about plans; plain data. */
export interface PlannerOptions {
  readonly planning: Omit<PlanningOptions, 'endTokenIds'>
  readonly numBlocks: number
  readonly blockSize: number
  /** Undefined: no prefix cache. */
  readonly eviction: EvictionName | undefined
}

export class SimulatedEngine {
  readonly steps = new StepTimes()
  readonly #scheduler: Scheduler
  readonly #latency: LatencyModel
  /** What every entry of a step samples; entries that do not sample ignore it. */
  readonly #sampled: number[] = []
  #plan: StepPlan | undefined
  #duration = 0
  #busyMicros = 0

  constructor(options: PlannerOptions, latency: LatencyModel) {
    const { eviction } = options
    const cache = eviction && { eviction: evictionPolicies[eviction](), seed: 1, mostSeenKeys: 0 }
    const kv = new KvCacheManager(options, cache)
    this.#scheduler = createScheduler({ ...options.planning, endTokenIds: [] }, kv)
    this.#latency = latency
  }

  get numPreemptions(): number {
    return this.#scheduler.numPreemptionsTotal
  }

  get isBusy(): boolean {
    return this.#plan !== undefined
  }

  /** Time spent in steps. */
  get busyMicros(): number {
    return this.#busyMicros
  }

  submit(request: GenerationRequest): Admission {
    return this.#scheduler.add(request)
  }

  /** Begins the next step and says when it ends; undefined when there is nothing to do. */
  begin(now: Micros): { readonly plan: StepPlan; readonly endsAt: Micros } | undefined {
    invariant(this.#plan === undefined, 'a step is under way')
    const scheduler = this.#scheduler
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
    return this.#scheduler.update(plan, this.#sampled, now, this.#duration)
  }
}
