/**
 * The driver of one engine: schedule, execute, sample, update, on and on while there is work; asleep when there is
 * none. While a step computes, it hands out what the step before produced, and finds what grammars allow next. What arrives during a step waits for its
 * end, so that plans depend on nothing but messages at step boundaries. It knows no carrier: messages come in as
 * calls and go out through one callback.
 */
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../core/clock.ts'
import { invariant } from '../core/errors.ts'
import type { GenerationRequest } from '../core/request.ts'
import type { RequestId } from '../core/units.ts'
import type { Executor } from '../executor/executor.ts'
import type { GrammarEngine } from '../grammar/grammar-engine.ts'
import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { StepProfiler } from '../profile/step-profiler.ts'
import type { SequenceResult } from '../scheduler/finished-step.ts'
import type { StepPlan } from '../scheduler/step-plan.ts'
import { TimelineRecorder } from '../scheduler/timeline.ts'
import { emptyProfile, StepStopwatch } from '../telemetry/step-profile.ts'
import type { EngineStats, FromEngine, SequenceUpdate } from './protocol.ts'
import { stepTimes } from './step-times.ts'
import type { StepScheduler } from './recorded-scheduler.ts'
import { findFault } from './request-check.ts'
import { Races } from './races.ts'
import { SequenceSamplers } from './sequence-samplers.ts'
import type { Swapping } from './swapping.ts'
import { refusal, toUpdate } from './sequence-updates.ts'

export interface StepLoopParts {
  readonly executor: Executor
  readonly scheduler: StepScheduler
  readonly kv: KvCacheManager
  readonly swapping?: Swapping | undefined
  /** Undefined: requests may have no grammars. */
  readonly grammars?: GrammarEngine | undefined
  readonly clock: Clock
  readonly send: (message: FromEngine) => void
  /** Is told where each step's time goes. */
  readonly profiler?: StepProfiler | undefined
}

/** After its end an engine may take this long to write out what shall outlive it. */
const keepMillis = 3000

export class StepLoop {
  readonly #parts: StepLoopParts
  readonly #samplers: SequenceSamplers
  readonly #timelines = new TimelineRecorder()
  readonly #races = new Races()
  #inbox: (() => void)[] = []
  #updates: SequenceUpdate[] = []
  /** The last step, while nobody was told of it. */
  #finishedStep: FinishedStep | undefined
  #step = 0
  /** Moves began or ended, and nobody was told of the figures since. */
  #hasNewFigures = false
  /** The next step waits for moves, and that was counted. */
  #isWaitCounted = false
  #isClosed = false
  #wake: () => void = () => undefined

  constructor(parts: StepLoopParts) {
    this.#parts = parts
    this.#samplers = new SequenceSamplers(parts.grammars)
    if (parts.swapping !== undefined) parts.swapping.onOutcome = () => this.#wake()
  }

  submit(requests: readonly GenerationRequest[]): void {
    this.#post(() => requests.forEach((request) => this.#add(request)))
  }

  /** Takes effect before the next step. */
  cancel(ids: readonly RequestId[]): void {
    this.#post(() => ids.forEach((id) => this.#parts.scheduler.cancel(id)))
  }

  /** A sequence's answer ends, or has ended, in a call of this tool. */
  noteToolCall(id: RequestId, tool: string): void {
    // Nothing to wake up for: it decides what is evicted.
    this.#inbox.push(() => this.#parts.scheduler.noteToolCall(id, tool))
  }

  /** Lets `run` return once the step under way is over; what is unfinished stays so. */
  close(): void {
    this.#isClosed = true
    this.#wake()
  }

  /** Returns after `close`. Rejects when the executor fails or an invariant is broken: the engine is lost then. */
  async run(): Promise<void> {
    while (!this.#isClosed) {
      const stopwatch = new StepStopwatch()
      this.#takeInbox()
      const plan = this.#schedule()
      if (plan === undefined) await this.#sleep()
      else {
        if (this.#parts.swapping?.holdsSteps === true) await this.#waitForMoves(this.#parts.swapping)
        await this.#runStep(plan, stopwatch)
      }
    }
    await this.#keepBlocks()
  }

  /** @throws {InvariantError} when queues, blocks, sequences and samplers disagree. */
  checkInvariants(): void {
    const { scheduler } = this.#parts
    scheduler.checkInvariants()
    const count = scheduler.numRunning + scheduler.numWaiting
    invariant(this.#timelines.size === count, `${this.#timelines.size} timelines for ${count} sequences`)
    invariant(this.#samplers.size === count, `${this.#samplers.size} samplers for ${count} sequences`)
  }

  #post(action: () => void): void {
    this.#inbox.push(action)
    this.#wake()
  }

  #takeInbox(): void {
    const { scheduler, clock } = this.#parts
    this.#takeOutcomes()
    const actions = this.#inbox
    this.#inbox = []
    for (const action of actions) action()
    for (let ended = scheduler.takeFinished(); ended.length > 0; ended = scheduler.takeFinished()) {
      for (const result of ended) {
        this.#end(result)
        const now = clock.now()
        const intervals = this.#timelines.finish(result.sequence.id, now)
        this.#updates.push(toUpdate(result, undefined, now, intervals))
      }
    }
  }

  #add(request: GenerationRequest): void {
    const { scheduler, executor, clock } = this.#parts
    const fault = findFault(request, executor.model.vocabSize) ?? this.#samplers.add(request)
    if (fault !== undefined) {
      this.#updates.push(refusal(request, fault, clock.now()))
      return
    }
    const admission = scheduler.add(request)
    if (admission.kind === 'added') {
      this.#races.add(request)
      this.#timelines.add(admission.sequence, clock.now())
    } else {
      this.#samplers.delete(request.id)
      const error = { code: 'PROMPT_TOO_LONG', message: admission.message } as const
      this.#updates.push(refusal(request, error, clock.now()))
    }
  }

  /** Whoever lost a race with this ends before the next step. */
  #end({ sequence: { request }, finish }: SequenceResult): void {
    this.#samplers.delete(request.id)
    for (const id of this.#races.finish(request, finish!)) this.#parts.scheduler.cancel(id)
  }

  /** A plan comes out empty when all it did was to preempt; the one after it cannot. */
  #schedule(): StepPlan | undefined {
    const { scheduler, clock } = this.#parts
    const plan = scheduler.schedule(clock.now()) ?? scheduler.schedule(clock.now())
    this.#timelines.planned(plan, scheduler.waitReason, clock.now())
    this.#startMoves()
    const isWaiting = plan === undefined && !scheduler.isIdle
    invariant(!isWaiting || this.#isMoving, 'nothing can run, but somebody waits')
    return plan
  }

  #startMoves(): void {
    const transfers = this.#parts.scheduler.takeTransfers()
    if (transfers.length === 0) return
    this.#hasNewFigures = true
    this.#parts.swapping?.start(transfers)
  }

  /** Blocks are on their way to or from a tier. */
  get #isMoving(): boolean {
    return (this.#parts.kv.swapper?.numUnderWay ?? 0) > 0
  }

  async #waitForMoves(swapping: Swapping): Promise<void> {
    if (!this.#isMoving) return
    const startedAt = performance.now()
    await swapping.settled()
    this.#noteWait(startedAt)
  }

  #takeOutcomes(): void {
    const { scheduler, swapping } = this.#parts
    const outcomes = swapping?.takeOutcomes() ?? []
    if (outcomes.length === 0) return
    for (const outcome of outcomes) scheduler.finishTransfer(outcome)
    this.#hasNewFigures = true
    swapping?.noteChange()
  }

  /** Writes out what shall outlive the process, for a while. */
  async #keepBlocks(): Promise<void> {
    const { kv, swapping } = this.#parts
    if (swapping === undefined || kv.swapper === undefined) return
    const until = performance.now() + keepMillis
    for (;;) {
      this.#takeOutcomes()
      if (performance.now() < until) kv.swapper.keepAll()
      this.#startMoves()
      if (!this.#isMoving) return
      await swapping.settled()
    }
  }

  /** A step that waits for several moves, one after the other, is one step. */
  #noteWait(startedAt: number): void {
    const waitedMicros = Math.round((performance.now() - startedAt) * 1000)
    this.#parts.kv.swapper?.noteWait(waitedMicros, this.#isWaitCounted)
    this.#isWaitCounted = true
  }

  async #runStep(plan: StepPlan, stopwatch: StepStopwatch): Promise<void> {
    this.#isWaitCounted = false
    const { executor, scheduler, clock } = this.#parts
    this.#announce(plan)
    const needs = this.#samplers.needsOf(plan)
    stopwatch.lap('schedule')
    const execution = executor.execute(plan, needs)
    stopwatch.lap('launch')
    this.#handOut()
    this.#samplers.prepareMasks(plan)
    stopwatch.lap('emit')
    this.#parts.profiler?.write()
    const result = await execution
    stopwatch.lap('wait')
    const samples = this.#samplers.sample(plan, result)
    const now = clock.now()
    this.#timelines.stepEnded(plan, now)
    for (const ended of scheduler.update(plan, samples.tokens, now, stopwatch.totalMicros)) {
      const hasEnded = ended.finish !== undefined
      const intervals = hasEnded ? this.#timelines.finish(ended.sequence.id, now) : []
      this.#updates.push(toUpdate(ended, samples, now, intervals))
      if (hasEnded) this.#end(ended)
    }
    stopwatch.lap('sample')
    this.#parts.profiler?.step(stepTimes(plan, stopwatch, result, scheduler.work))
    this.#step = plan.step
    this.#finishedStep = {
      step: plan.step,
      phases: stopwatch.profile(result.buildMicros),
      numPrefillTokens: scheduler.work.numPrefillTokens,
      numDecodeTokens: scheduler.work.numDecodes,
    }
  }

  /** Before the step, so that its sequences are known as suspects should it kill the process. */
  #announce(plan: StepPlan): void {
    const ids = this.#samplers.takeStarting(plan)
    if (ids.length > 0) this.#parts.send({ type: 'started', ids, at: this.#parts.clock.now() })
  }

  /** Everything since the last time, in one message; what it counts is counted now. */
  #handOut(): void {
    const updates = this.#updates
    const finished = this.#finishedStep
    if (finished === undefined && updates.length === 0 && !this.#hasNewFigures) return
    this.#hasNewFigures = false
    this.#updates = []
    this.#finishedStep = undefined
    const { scheduler, kv, send } = this.#parts
    const stats: EngineStats = {
      numRunning: scheduler.numRunning,
      numWaiting: scheduler.numWaiting,
      numBlocks: kv.numBlocks,
      numFreeBlocks: kv.numAvailableBlocks,
      kv: kv.stats,
      swap: kv.swapper?.stats,
      numPreemptionsTotal: scheduler.numPreemptionsTotal,
      ...(finished ?? { ...noStep, step: this.#step }),
    }
    send({ type: finished === undefined ? 'idle' : 'step', updates, stats })
  }

  async #sleep(): Promise<void> {
    this.#handOut()
    this.#parts.profiler?.write()
    const startedAt = performance.now()
    // Whoever was told may have answered at once.
    if (this.#inbox.length === 0 && !this.#isClosed)
      await new Promise<void>((resolve) => (this.#wake = resolve))
    const { scheduler, profiler } = this.#parts
    if (!scheduler.isIdle) this.#noteWait(startedAt)
    profiler?.waited(scheduler.isIdle ? 'idle' : 'blocks', startedAt, performance.now())
    // All messages of one turn of the event loop enter the same first step.
    await setImmediate()
  }
}

type FinishedStep = Pick<EngineStats, 'step' | 'phases' | 'numPrefillTokens' | 'numDecodeTokens'>

const noStep = { phases: emptyProfile, numPrefillTokens: 0, numDecodeTokens: 0 }
