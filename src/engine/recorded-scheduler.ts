/**
 * A scheduler that writes down what it is told and what it answers, for `src/simulator/replay`. Costs a line of text
 * a call; tokens, and the names of tenants, programs and salts, are replaced on the way.
 */
import type { GenerationRequest } from '../core/request.ts'
import type { Micros, RequestId } from '../core/units.ts'
import type { Transfer, TransferOutcome } from '../kvcache/transfer.ts'
import type { Admission } from '../scheduler/admission.ts'
import type { Sampled, SequenceResult } from '../scheduler/finished-step.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import type { StepPlan } from '../scheduler/step-plan.ts'
import type { StepWork } from '../scheduler/step-work.ts'
import type { WaitReason } from '../scheduler/timeline.ts'
import {
  movesLine,
  planLine,
  type LoggedRequest,
  type LoggedSample,
  type PlanLogLine,
} from '../simulator/replay/plan-log.ts'
import { TokenChain } from '../simulator/replay/token-chain.ts'

/** What drives steps sees of a scheduler. */
/** What a step loop needs of a scheduler. */
export type StepScheduler = Omit<Scheduler, 'numRepeats' | 'repeat'>

export interface PlanSink {
  write(line: PlanLogLine): void
}

/** Of one recording: what replaces tokens and names, the same ones by the same. */
export interface RecordingSecret {
  readonly seed: number
  readonly hideName: (name: string) => string
}

export class RecordedScheduler implements StepScheduler {
  readonly #scheduler: Scheduler
  readonly #sink: PlanSink
  readonly #secret: RecordingSecret
  readonly #chains = new Map<RequestId, TokenChain>()

  constructor(scheduler: Scheduler, sink: PlanSink, secret: RecordingSecret) {
    this.#scheduler = scheduler
    this.#sink = sink
    this.#secret = secret
  }

  get numRunning(): number {
    return this.#scheduler.numRunning
  }

  get numWaiting(): number {
    return this.#scheduler.numWaiting
  }

  get numPreemptionsTotal(): number {
    return this.#scheduler.numPreemptionsTotal
  }

  get waitReason(): WaitReason | undefined {
    return this.#scheduler.waitReason
  }

  get isIdle(): boolean {
    return this.#scheduler.isIdle
  }

  get work(): StepWork {
    return this.#scheduler.work
  }

  add(request: GenerationRequest): Admission {
    const chain = new TokenChain(this.#secret.seed)
    this.#sink.write({ add: this.#disguise(request, chain) })
    const admission = this.#scheduler.add(request)
    if (admission.kind === 'added') this.#chains.set(request.id, chain)
    return admission
  }

  cancel(id: RequestId): void {
    this.#sink.write({ cancel: id })
    this.#scheduler.cancel(id)
  }

  noteToolCall(id: RequestId, tool: string): void {
    this.#sink.write({ toolCall: id, tool: this.#secret.hideName(tool) })
    this.#scheduler.noteToolCall(id, tool)
  }

  takeFinished(): readonly SequenceResult[] {
    const finished = this.#scheduler.takeFinished()
    for (const { sequence } of finished) this.#chains.delete(sequence.request.id)
    return finished
  }

  takeTransfers(): readonly Transfer[] {
    const transfers = this.#scheduler.takeTransfers()
    if (transfers.length > 0) this.#sink.write({ moves: movesLine(transfers) })
    return transfers
  }

  finishTransfer(outcome: TransferOutcome): void {
    this.#sink.write({ moved: outcome })
    this.#scheduler.finishTransfer(outcome)
  }

  schedule(now: Micros): StepPlan | undefined {
    const plan = this.#scheduler.schedule(now)
    this.#sink.write({ plan: planLine(plan), at: now })
    return plan
  }

  update(
    plan: StepPlan,
    sampled: readonly Sampled[],
    now: Micros,
    stepMicros: number | undefined,
  ): readonly SequenceResult[] {
    const results = this.#scheduler.update(plan, sampled, now, stepMicros)
    const stopped = new Set<RequestId>()
    for (const { sequence, finish } of results) {
      if (finish === 'stop') stopped.add(sequence.request.id)
    }
    const end = plan.entries.map(({ requestId, samples }, index): LoggedSample => {
      if (!samples) return 0
      const token = sampled[index]
      if (typeof token !== 'number') return 'failed'
      return stopped.has(requestId) ? 'stop' : this.#chains.get(requestId)!.next(token)
    })
    this.#sink.write({ end, at: now, micros: stepMicros ?? null })
    for (const { sequence, finish } of results) {
      if (finish !== undefined) this.#chains.delete(sequence.request.id)
    }
    return results
  }

  checkInvariants(): void {
    this.#scheduler.checkInvariants()
  }

  #disguise(request: GenerationRequest, chain: TokenChain): LoggedRequest {
    const { sampling: _sampling, stopTokenIds: _stopTokenIds, race: _race, ...rest } = request
    const { tenant, program, cacheSalt } = request
    const { hideName } = this.#secret
    return {
      ...rest,
      tenant: hideName(tenant),
      program: program === undefined ? undefined : hideName(program),
      cacheSalt: cacheSalt === undefined ? undefined : hideName(cacheSalt),
      promptTokens: chain.all(request.promptTokens),
      outputTokens: chain.all(request.outputTokens),
    }
  }
}
