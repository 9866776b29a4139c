/**
 * Who runs in the next step, with how many tokens. Pure: time comes in, plans go out as data. A driver calls
 *
 *   add / cancel            any time
 *   schedule(now)           plans a step; undefined when nothing can run
 *   update(plan, ...)       after the step: appends what was sampled, finishes, frees
 *   takeFinished()          sequences that ended outside a step (cancelled while waiting)
 *
 * with one step in flight at most. Order and victims come from the policy; memory from the KV manager; the size of
 * prompt chunks from the token budget.
 */
import { invariant } from '../core/errors.ts'
import type { FinishReason, GenerationRequest } from '../core/request.ts'
import { toSequenceId, type Micros, type RequestId, type SequenceId } from '../core/units.ts'
import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { StepWork } from './cost-model.ts'
import type { SchedulingPolicy } from './policy.ts'
import { Sequence } from './sequence.ts'
import type { PlanEntry, StepPlan } from './step-plan.ts'
import { TokenBudget } from './token-budget.ts'
import { WaitingQueue } from './waiting-queue.ts'

export interface SchedulerConfig {
  readonly maxNumSeqs: number
  readonly maxNumBatchedTokens: number
  readonly maxModelLen: number
  readonly maxTbtMicros: number | undefined
  /** Tokens that end every sequence that does not ignore them. */
  readonly endTokenIds: readonly number[]
}

export type Admission =
  | { readonly kind: 'added'; readonly sequence: Sequence }
  /** The request can never run here. */
  | { readonly kind: 'rejected'; readonly message: string }

/** What a step did to one sequence. */
export interface SequenceResult {
  readonly sequence: Sequence
  /** The token appended in this step, if any. */
  readonly tokenId: number | undefined
  readonly finish: FinishReason | undefined
}

/** A sampled token per plan entry; undefined where nothing was sampled, `failed` where sampling broke. */
export type Sampled = number | undefined | 'failed'

export class Scheduler {
  readonly #config: SchedulerConfig
  readonly #kv: KvCacheManager
  readonly #policy: SchedulingPolicy
  readonly #budget: TokenBudget
  readonly #sequences = new Map<RequestId, Sequence>()
  readonly #waiting: WaitingQueue
  /** In order of admission. */
  readonly #running: Sequence[] = []
  #finishedOutside: SequenceResult[] = []
  #inFlight: StepPlan | undefined
  #work: StepWork = { numDecodes: 0, numPrefillTokens: 0, attendedKeys: 0 }
  #nextSequence = 1
  #nextAdmission = 1
  #step = 0
  #numPreemptions = 0

  constructor(config: SchedulerConfig, kv: KvCacheManager, policy: SchedulingPolicy) {
    this.#config = config
    this.#kv = kv
    this.#policy = policy
    this.#budget = new TokenBudget(config)
    this.#waiting = new WaitingQueue((a, b) => policy.compareWaiting(a, b))
  }

  get numRunning(): number {
    return this.#running.length
  }

  get numWaiting(): number {
    return this.#waiting.size
  }

  get numPreemptionsTotal(): number {
    return this.#numPreemptions
  }

  /** The work of the plan in flight, or of the last one. */
  get work(): StepWork {
    return this.#work
  }

  add(request: GenerationRequest): Admission {
    invariant(!this.#sequences.has(request.id), `request ${request.id} is here already`)
    const numTokens = request.promptTokens.length + request.outputTokens.length
    const limit = Math.min(this.#config.maxModelLen, this.#kv.numTokenSlots)
    if (numTokens + 1 > limit) {
      return { kind: 'rejected', message: tooLong(numTokens, limit) }
    }
    if (numTokens === 0) return { kind: 'rejected', message: 'The prompt is empty.' }
    const maxLength = Math.min(limit, request.promptTokens.length + request.maxTokens)
    const stops = request.ignoreEos ? [] : this.#config.endTokenIds
    const stopTokenIds = new Set([...stops, ...request.stopTokenIds])
    const sequence = new Sequence(toSequenceId(this.#nextSequence++), request, maxLength, stopTokenIds)
    this.#sequences.set(request.id, sequence)
    this.#waiting.push(sequence)
    return { kind: 'added', sequence }
  }

  /** Ends a sequence: now, or with the step in flight if it is part of it. Unknown ids are ignored. */
  cancel(id: RequestId): void {
    const sequence = this.#sequences.get(id)
    if (sequence === undefined) return
    sequence.isCancelled = true
    if (this.#inFlight?.entries.some((entry) => entry.sequenceId === sequence.id)) return
    this.#finishedOutside.push(this.#finish(sequence, 'cancelled', undefined))
  }

  takeFinished(): readonly SequenceResult[] {
    const finished = this.#finishedOutside
    this.#finishedOutside = []
    return finished
  }

  schedule(now: Micros): StepPlan | undefined {
    invariant(this.#inFlight === undefined, 'one step at a time')
    const draft = new PlanDraft()
    this.#scheduleDecodes(draft)
    const decodes = draft.size
    const decodeKeys = draft.attendedKeys
    const context = this.#running.find((sequence) => sequence.numPendingTokens > 1)?.numComputedTokens ?? 0
    let room = this.#budget.prefillTokens(decodes, decodeKeys, context)
    for (const sequence of this.#running) {
      if (room <= 0) break
      if (sequence.numPendingTokens <= 1 || draft.has(sequence)) continue
      room -= draft.add(sequence, Math.min(room, sequence.numPendingTokens))
    }
    if (draft.preempted.length === 0) this.#admit(draft, room, now)
    if (draft.size === 0) return undefined

    const numTokens = draft.numTokens
    this.#work = {
      numDecodes: decodes,
      numPrefillTokens: numTokens - decodes,
      attendedKeys: draft.attendedKeys,
    }
    const plan: StepPlan = {
      step: ++this.#step,
      entries: draft.toEntries(this.#kv),
      numTokens,
      preempted: draft.preempted,
    }
    this.#inFlight = plan
    return plan
  }

  /**
   * Applies a finished step. `sampled[i]` belongs to `plan.entries[i]`. `stepMicros`: how long the step took, for
   * the cost model; undefined when it says nothing about the machine.
   */
  update(
    plan: StepPlan,
    sampled: readonly Sampled[],
    now: Micros,
    stepMicros: number | undefined,
  ): readonly SequenceResult[] {
    invariant(plan === this.#inFlight, 'update() belongs to the last schedule()')
    this.#inFlight = undefined
    if (stepMicros !== undefined) this.#budget.observe(this.#work, stepMicros)
    const results: SequenceResult[] = []
    plan.entries.forEach((entry, index) => {
      const result = this.#advance(entry, sampled[index], now)
      if (result !== undefined) results.push(result)
    })
    return results
  }

  /** @throws {InvariantError} when queues, blocks and sequences disagree. */
  checkInvariants(): void {
    this.#kv.checkInvariants()
    const count = this.#running.length + this.#waiting.size
    invariant(count === this.#sequences.size, `${count} in queues, ${this.#sequences.size} known`)
    for (const sequence of this.#sequences.values()) {
      const capacity = this.#kv.capacityOf(sequence.id)
      invariant(sequence.numComputedTokens <= capacity, `${sequence.request.id} computed beyond its blocks`)
      invariant(sequence.status === 'running' || capacity === 0, `${sequence.request.id} waits with blocks`)
    }
  }

  /** Who has caught up goes first: no stream waits for a prompt. */
  #scheduleDecodes(draft: PlanDraft): void {
    for (const sequence of [...this.#running]) {
      if (sequence.numPendingTokens !== 1 || sequence.status !== 'running') continue
      if (this.#makeRoom(sequence, draft)) draft.add(sequence, 1)
    }
  }

  /** Grows a sequence by its next token, taking blocks from the policy's victims. False: it was a victim itself. */
  #makeRoom(sequence: Sequence, draft: PlanDraft): boolean {
    while (!this.#kv.grow(sequence.id, sequence.tokens.length)) {
      const victim = this.#policy.pickVictim(this.#running)
      this.#preempt(victim, draft)
      if (victim === sequence) return false
    }
    return true
  }

  #preempt(victim: Sequence, draft: PlanDraft): void {
    this.#kv.free(victim.id)
    this.#running.splice(this.#running.indexOf(victim), 1)
    draft.remove(victim)
    draft.preempted.push(victim.id)
    victim.status = 'waiting'
    victim.numComputedTokens = 0
    victim.numPreemptions++
    this.#numPreemptions++
    this.#waiting.push(victim)
  }

  /** Admits in the policy's order while there is budget, a place, and room for all tokens of the newcomer at once. */
  #admit(draft: PlanDraft, budget: number, now: Micros): void {
    const places = Math.min(this.#config.maxNumSeqs, Math.max(1, this.#config.maxNumBatchedTokens - 1))
    let room = budget
    while (room > 0 && this.#running.length < places) {
      const sequence = this.#waiting.peek()
      if (sequence === undefined || !this.#hasRoomFor(sequence)) return
      this.#waiting.pop()
      this.#kv.grow(sequence.id, sequence.tokens.length)
      sequence.status = 'running'
      sequence.admission = this.#nextAdmission++
      sequence.firstScheduledAt ??= now
      this.#running.push(sequence)
      room -= draft.add(sequence, Math.min(room, sequence.numPendingTokens))
    }
  }

  /** A newcomer also leaves a block for each that runs: else the next steps would throw it out again. */
  #hasRoomFor(sequence: Sequence): boolean {
    const needed = this.#kv.numBlocksToGrow(sequence.id, sequence.tokens.length)
    const reserve = Math.min(this.#running.length, this.#kv.numBlocks - needed)
    return needed + reserve <= this.#kv.numFreeBlocks
  }

  #advance(entry: PlanEntry, sampled: Sampled, now: Micros): SequenceResult | undefined {
    const sequence = this.#sequences.get(entry.requestId)
    invariant(sequence !== undefined && sequence.id === entry.sequenceId, `${entry.requestId} left in flight`)
    if (sequence.isCancelled) return this.#finish(sequence, 'cancelled', undefined)
    sequence.numComputedTokens = entry.position + entry.tokens.length
    if (!entry.samples) return undefined
    if (typeof sampled !== 'number') return this.#finish(sequence, 'error', undefined)
    sequence.firstTokenAt ??= now
    sequence.tokens.push(sampled)
    const reason = sequence.finishReasonAfter(sampled)
    if (reason !== undefined) return this.#finish(sequence, reason, sampled)
    return { sequence, tokenId: sampled, finish: undefined }
  }

  #finish(sequence: Sequence, reason: FinishReason, tokenId: number | undefined): SequenceResult {
    const index = this.#running.indexOf(sequence)
    if (index >= 0) this.#running.splice(index, 1)
    else this.#waiting.remove(sequence)
    this.#kv.free(sequence.id)
    this.#sequences.delete(sequence.request.id)
    sequence.status = 'finished'
    return { sequence, tokenId, finish: reason }
  }
}

/** A plan while it is made. */
class PlanDraft {
  readonly preempted: SequenceId[] = []
  readonly #chunks = new Map<Sequence, number>()
  numTokens = 0
  attendedKeys = 0

  get size(): number {
    return this.#chunks.size
  }

  has(sequence: Sequence): boolean {
    return this.#chunks.has(sequence)
  }

  /** Returns the number of tokens added. */
  add(sequence: Sequence, numTokens: number): number {
    this.#chunks.set(sequence, numTokens)
    this.numTokens += numTokens
    this.attendedKeys += numTokens * (sequence.numComputedTokens + numTokens / 2)
    return numTokens
  }

  remove(sequence: Sequence): void {
    const numTokens = this.#chunks.get(sequence)
    if (numTokens === undefined) return
    this.#chunks.delete(sequence)
    this.numTokens -= numTokens
    this.attendedKeys -= numTokens * (sequence.numComputedTokens + numTokens / 2)
  }

  toEntries(kv: KvCacheManager): PlanEntry[] {
    return Array.from(this.#chunks, ([sequence, numTokens]) => {
      const position = sequence.numComputedTokens
      return {
        sequenceId: sequence.id,
        requestId: sequence.request.id,
        tokens: sequence.tokens.slice(position, position + numTokens),
        position,
        extents: kv.extentsOf(sequence.id),
        samples: position + numTokens === sequence.tokens.length,
      }
    })
  }
}

function tooLong(numTokens: number, limit: number): string {
  return (
    `The prompt has ${numTokens} tokens; at most ${limit - 1} fit beside one generated token. ` +
    `It is ${numTokens + 1 - limit} tokens too long.`
  )
}
