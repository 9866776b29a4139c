/**
 * The driver of one engine: schedule, execute, sample, update, and again. While the kernels compute, it hands out what
 * the step before produced. It knows no carrier: messages come in as calls, and go out through one callback.
 */
import type { Clock } from '../core/clock.ts'
import type { GenerationRequest } from '../core/request.ts'
import type { TokenLogprobs } from '../core/sampling-params.ts'
import type { RequestId } from '../core/units.ts'
import type { Executor, LogitsNeed, StepResult } from '../executor/executor.ts'
import { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import { createSampler, type Sampler } from '../sampling/sampler.ts'
import { policies, type PolicyName } from '../scheduler/policies/index.ts'
import { Scheduler, type Sampled, type SequenceResult } from '../scheduler/scheduler.ts'
import type { StepPlan } from '../scheduler/step-plan.ts'
import type { EngineStats, SequenceUpdate } from './protocol.ts'

export interface SchedulerOptions {
  readonly maxNumSeqs: number
  readonly maxNumBatchedTokens: number
  readonly maxTbtMs: number | undefined
  readonly policy: PolicyName
}

export interface StepMessage {
  readonly updates: readonly SequenceUpdate[]
  readonly stats: EngineStats
}

interface Live {
  readonly request: GenerationRequest
  readonly sampler: Sampler
}

const nothing: LogitsNeed = { kind: 'none' }

export class StepLoop {
  readonly #executor: Executor
  readonly #scheduler: Scheduler
  readonly #kv: KvCacheManager
  readonly #clock: Clock
  readonly #emit: (message: StepMessage) => void
  readonly #fail: (error: unknown) => void
  readonly #live = new Map<RequestId, Live>()
  #updates: SequenceUpdate[] = []
  #stats: EngineStats
  #emitMicros = 0
  #emittedStep = 0
  #running = false
  #closed = false
  #idle: Promise<void> = Promise.resolve()

  constructor(
    executor: Executor,
    options: SchedulerOptions,
    clock: Clock,
    emit: (message: StepMessage) => void,
    fail: (error: unknown) => void,
  ) {
    const { model } = executor
    this.#executor = executor
    this.#clock = clock
    this.#emit = emit
    this.#fail = fail
    this.#kv = new KvCacheManager({ numBlocks: model.numBlocks, blockSize: model.blockSize })
    const config = {
      maxNumSeqs: options.maxNumSeqs,
      maxNumBatchedTokens: options.maxNumBatchedTokens,
      maxModelLen: model.maxModelLen,
      maxTbtMicros: options.maxTbtMs === undefined ? undefined : options.maxTbtMs * 1000,
      endTokenIds: model.endTokenIds,
    }
    this.#scheduler = new Scheduler(config, this.#kv, policies[options.policy]())
    this.#stats = this.#statsOf(0, { schedule: 0, build: 0, compute: 0, sample: 0, emit: 0 }, false)
  }

  submit(requests: readonly GenerationRequest[]): void {
    for (const request of requests) this.#add(request)
    this.#wake()
  }

  cancel(ids: readonly RequestId[]): void {
    for (const id of ids) this.#scheduler.cancel(id)
    this.#wake()
  }

  /** Resolves when the step in flight is over; no further step begins. */
  close(): Promise<void> {
    this.#closed = true
    return this.#idle
  }

  checkInvariants(): void {
    this.#scheduler.checkInvariants()
  }

  #add(request: GenerationRequest): void {
    const admission = this.#scheduler.add(request)
    if (admission.kind === 'rejected') {
      const now = this.#clock.now()
      this.#updates.push({
        id: request.id,
        tokenIds: [],
        logprobs: undefined,
        finish: {
          reason: 'error',
          error: { code: 'PROMPT_TOO_LONG', message: admission.message },
          timings: {
            arrivedAt: request.arrivedAt,
            firstScheduledAt: undefined,
            firstTokenAt: undefined,
            finishedAt: now,
            numCachedTokens: 0,
            numPreemptions: 0,
          },
        },
      })
      return
    }
    const { sampling, promptTokens, outputTokens } = request
    this.#live.set(request.id, { request, sampler: createSampler(sampling, promptTokens, outputTokens) })
  }

  #wake(): void {
    if (this.#running || this.#closed) return
    this.#running = true
    this.#idle = this.#run().catch((error: unknown) => this.#fail(error))
  }

  async #run(): Promise<void> {
    // Messages of one turn of the event loop enter the same first step.
    await new Promise((resolve) => setImmediate(resolve))
    while (!this.#closed) {
      const startedAt = performance.now()
      this.#collect(this.#scheduler.takeFinished())
      const plan = this.#scheduler.schedule(this.#clock.now())
      if (plan === undefined) {
        // First idle, then hand out: a listener may submit at once, and must find the loop ready to wake.
        this.#running = false
        this.#flush()
        return
      }
      await this.#step(plan, startedAt)
    }
  }

  async #step(plan: StepPlan, startedAt: number): Promise<void> {
    const needs = plan.entries.map((entry) =>
      entry.samples ? (this.#live.get(entry.requestId)?.sampler.need() ?? nothing) : nothing,
    )
    const scheduledAt = performance.now()
    const execution = this.#executor.execute(plan, needs)
    this.#flush()
    const result = await execution
    const sampleAt = performance.now()
    const logprobs = new Map<RequestId, TokenLogprobs>()
    const sampled = plan.entries.map((entry, index) => this.#sample(entry.requestId, result, index, logprobs))
    const stepMicros = (performance.now() - startedAt) * 1000
    this.#collect(this.#scheduler.update(plan, sampled, this.#clock.now(), stepMicros), logprobs)
    this.#stats = this.#statsOf(plan.step, {
      schedule: Math.round((scheduledAt - startedAt) * 1000),
      build: result.buildMicros,
      compute: result.computeMicros,
      sample: Math.round((performance.now() - sampleAt) * 1000),
      emit: this.#emitMicros,
    })
  }

  #sample(
    id: RequestId,
    result: StepResult,
    index: number,
    logprobs: Map<RequestId, TokenLogprobs>,
  ): Sampled {
    const row = result.rows[index]
    const live = this.#live.get(id)
    if (row === undefined || live === undefined) return undefined
    try {
      const token = live.sampler.sample(row)
      if (token.logprobs !== undefined) logprobs.set(id, token.logprobs)
      return token.tokenId
    } catch {
      // The row holds no usable logits: this sequence's failure, nobody else's.
      return 'failed'
    }
  }

  #collect(results: readonly SequenceResult[], logprobs?: ReadonlyMap<RequestId, TokenLogprobs>): void {
    for (const { sequence, tokenId, finish } of results) {
      const { request } = sequence
      const tokenLogprobs = logprobs?.get(request.id)
      this.#updates.push({
        id: request.id,
        tokenIds: tokenId === undefined ? [] : [tokenId],
        logprobs: tokenLogprobs === undefined ? undefined : [tokenLogprobs],
        finish:
          finish === undefined
            ? undefined
            : {
                reason: finish,
                error:
                  finish === 'error'
                    ? { code: 'INTERNAL', message: 'The model produced no usable logits.' }
                    : undefined,
                timings: {
                  arrivedAt: request.arrivedAt,
                  firstScheduledAt: sequence.firstScheduledAt,
                  firstTokenAt: sequence.firstTokenAt,
                  finishedAt: this.#clock.now(),
                  numCachedTokens: 0,
                  numPreemptions: sequence.numPreemptions,
                },
              },
      })
      if (finish !== undefined) this.#live.delete(request.id)
    }
  }

  /** Hands out everything since the last time, in one message. */
  #flush(): void {
    if (this.#updates.length === 0 && this.#stats.step === this.#emittedStep) return
    this.#emittedStep = this.#stats.step
    const startedAt = performance.now()
    const updates = this.#updates
    this.#updates = []
    const { numRunning, numWaiting } = this.#scheduler
    const numFreeBlocks = this.#kv.numFreeBlocks
    this.#emit({ updates, stats: { ...this.#stats, numRunning, numWaiting, numFreeBlocks } })
    this.#emitMicros = Math.round((performance.now() - startedAt) * 1000)
  }

  #statsOf(step: number, phases: EngineStats['phases'], ran = true): EngineStats {
    const work = this.#scheduler.work
    return {
      step,
      numRunning: this.#scheduler.numRunning,
      numWaiting: this.#scheduler.numWaiting,
      numBlocks: this.#kv.numBlocks,
      numFreeBlocks: this.#kv.numFreeBlocks,
      numPreemptionsTotal: this.#scheduler.numPreemptionsTotal,
      numPrefillTokens: ran ? work.numPrefillTokens : 0,
      numDecodeTokens: ran ? work.numDecodes : 0,
      phases,
    }
  }
}
