/**
 * One engine under a virtual clock: the scheduler and the KV manager that serve real requests, and a latency model in
 * the place of the kernels. As in `engine/step-loop.ts`, what arrives during a step is seen at its end.
 */
import { invariant } from '../core/errors.ts'
import type { ScheduledRequest } from '../core/request.ts'
import { micros, type Micros } from '../core/units.ts'
import { evictionPolicies, type EvictionName } from '../kvcache/eviction/index.ts'
import { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { Admission } from '../scheduler/admission.ts'
import { createScheduler, type PlanningOptions } from '../scheduler/create-scheduler.ts'
import type { SequenceResult } from '../scheduler/finished-step.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import type { StepPlan } from '../scheduler/step-plan.ts'
import { shapeOf, type LatencyModel, type StepShape } from './latency/latency-model.ts'
import { answerToken } from './prompt-runs.ts'
import { runHasher } from './run-hasher.ts'
import { StepTimes } from './step-times.ts'

/** What of an engine decides about plans; plain data. */
export interface PlannerOptions {
  readonly planning: Omit<PlanningOptions, 'endTokenIds'>
  readonly numBlocks: number
  readonly blockSize: number
  /** Undefined: no prefix cache. */
  readonly eviction: EvictionName | undefined
}

/** How far ahead like steps are foreseen: more where nobody interrupts them. */
const leastAhead = 8
const mostAhead = 256

export class SimulatedEngine {
  readonly steps = new StepTimes()
  readonly #scheduler: Scheduler
  readonly #latency: LatencyModel
  /** What every entry of a step samples; entries that do not sample ignore it. */
  readonly #sampled: number[] = []
  readonly #isStepByStep: boolean
  #plan: StepPlan | undefined
  /** The step under way and those like it that come after it, as far as they are foreseen: how long each takes. */
  #durations: number[] = []
  #begunAt: Micros = micros(0)
  #numAhead = leastAhead
  #busyMicros = 0

  /** `isStepByStep`: like steps do not pass at once. The results are the same, and take longer. */
  constructor(options: PlannerOptions, latency: LatencyModel, isStepByStep = false) {
    this.#isStepByStep = isStepByStep
    const { eviction } = options
    const cache = eviction && {
      eviction: evictionPolicies[eviction](),
      seed: 1,
      hasher: runHasher,
      mostSeenKeys: 0,
    }
    const kv = new KvCacheManager(options, cache)
    // No latency model asks where blocks lie: moving them would only keep like steps from passing at once.
    this.#scheduler = createScheduler({ ...options.planning, endTokenIds: [], compacts: false }, kv)
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

  /** When the step under way ends, or the last of those foreseen. */
  get endsAt(): Micros {
    return micros(this.#durations.reduce((at, duration) => at + duration, this.#begunAt as number))
  }

  /** `endsAt` may be sooner afterwards: the step under way is the last one without the newcomer. */
  submit(request: ScheduledRequest, now: Micros): Admission {
    this.#catchUp(now)
    return this.#scheduler.add(request)
  }

  /**
   * Begins the next step, which ends at `endsAt`; undefined when there is nothing to do. Where steps like it follow
   * in any case, with no more than a token for everybody, `endsAt` is the end of the last of them, unless what comes of
   * each is of interest.
   */
  begin(now: Micros, isEachOfInterest = false): StepPlan | undefined {
    invariant(this.#plan === undefined, 'a step is under way')
    const scheduler = this.#scheduler
    // A plan comes out empty when all it did was to preempt; the one after it cannot.
    this.#plan = scheduler.schedule(now) ?? scheduler.schedule(now)
    if (this.#plan === undefined) {
      invariant(scheduler.isIdle, 'nothing can run, but somebody waits')
      return undefined
    }
    this.#begunAt = now
    this.#foresee(this.#plan, isEachOfInterest || this.#isStepByStep ? 0 : this.#numAhead)
    return this.#plan
  }

  /** The step under way is over. */
  end(now: Micros): readonly SequenceResult[] {
    const isAlone = this.#durations.length === 1
    this.#pass(this.#durations.length - 1)
    const plan = this.#plan
    invariant(plan !== undefined, 'no step is under way')
    const [duration] = this.#durations as [number]
    this.#plan = undefined
    this.#durations = []
    this.#busyMicros += duration
    this.steps.push(now)
    if (!isAlone) this.#numAhead = Math.min(mostAhead, 2 * this.#numAhead)
    while (this.#sampled.length < plan.entries.length) this.#sampled.push(answerToken)
    return this.#scheduler.update(plan, this.#sampled, now, duration)
  }

  #foresee(plan: StepPlan, most: number): void {
    const shape = shapeOf(plan)
    this.#durations = [this.#microsOf(shape)]
    const numRepeats = most === 0 ? 0 : this.#scheduler.numRepeats(most)
    for (let count = 1; count < numRepeats; count += 1) {
      shape.decodeKeys += shape.numSequences
      this.#durations.push(this.#microsOf(shape))
    }
  }

  #microsOf(shape: StepShape): number {
    return Math.max(1, Math.round(this.#latency.stepMicros(shape)))
  }

  /** Of the steps foreseen only those that have begun before `now` are kept, and those that have ended are over. */
  #catchUp(now: Micros): void {
    const durations = this.#durations
    if (durations.length < 2) return
    let numEnded = 0
    let endsAt = this.#begunAt + durations[0]!
    while (endsAt < now) endsAt += durations[++numEnded]!
    this.#numAhead = Math.max(leastAhead, Math.min(mostAhead, 2 * numEnded))
    durations.length = numEnded + 1
    this.#pass(numEnded)
  }

  /** So many of the steps foreseen are over. */
  #pass(numSteps: number): void {
    if (numSteps === 0) return
    const passed = this.#durations.splice(0, numSteps)
    let at = this.#begunAt as number
    for (const duration of passed) this.steps.push((at += duration))
    this.#busyMicros += at - this.#begunAt
    this.#begunAt = micros(at)
    this.#plan = this.#scheduler.repeat(passed, answerToken, this.#begunAt)
  }
}
