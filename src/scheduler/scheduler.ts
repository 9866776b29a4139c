/**
 * Who runs in the next step, with how many tokens. Pure: time comes in, plans go out as data. A driver calls
 *
 *   add / cancel            any time
 *   schedule(now)           plans a step; undefined when nothing can run
 *   update(plan, ...)       after the step: appends what was sampled, finishes, frees
 *   takeFinished()          sequences that ended outside a step (cancelled while waiting)
 *
 * with one step in flight at most. Every sequence that was added ends once, in a result of `update` or
 * `takeFinished`. Order and victims come from the policy; memory from the KV manager; the size of prompt chunks
 * from the token budget. The laws it keeps are numbered in docs/invariants.md.
 */
import { invariant } from '../core/errors.ts'
import type { FinishReason, ScheduledRequest } from '../core/request.ts'
import { micros, toSequenceId, type Micros, type RequestId, type SequenceId } from '../core/units.ts'
import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { Transfer, TransferOutcome } from '../kvcache/transfer.ts'
import { createKeys, stopTokensOf, tooLong, type Admission } from './admission.ts'
import { Entrance, type Turn } from './entrance.ts'
import { applyEntry, type Sampled, type SequenceResult } from './finished-step.ts'
import type { SchedulingPolicy } from './policy.ts'
import { PlanDraft } from './plan-draft.ts'
import { ProgramBook } from './programs/program-book.ts'
import { appendToAll, mayStandBack, repeatsOf } from './repeated-steps.ts'
import { Room } from './room.ts'
import { RunningSet } from './running-set.ts'
import type { SchedulerConfig } from './scheduler-config.ts'
import { Sequence, type SequenceView } from './sequence.ts'
import { ServiceNotes } from './service-notes.ts'
import type { PlanEntry, StepPlan } from './step-plan.ts'
import type { StepWork } from './step-work.ts'
import { SwapIns } from './swap-ins.ts'
import type { WaitReason } from './timeline.ts'
import { TokenBudget } from './token-budget.ts'
import type { WaitingQueue } from './waiting-queue.ts'
import { Yielding } from './yielding.ts'

const nobody: ReadonlySet<SequenceView> = new Set()

export class Scheduler {
  readonly #kv: KvCacheManager
  readonly #policy: SchedulingPolicy
  readonly #budget: TokenBudget
  readonly #compacts: boolean
  /** Longest sequence that model and pool can hold. */
  readonly #maxLength: number
  readonly #endTokenIds: ReadonlySet<number>
  readonly #sequences = new Map<RequestId, Sequence>()
  readonly #waiting: WaitingQueue
  readonly #swapIns: SwapIns
  readonly #programs: ProgramBook | undefined
  readonly #running: RunningSet
  readonly #entrance: Entrance
  readonly #yielding: Yielding
  #finishedOutside: SequenceResult[] = []
  #waitReason: WaitReason | undefined
  /** Preempted since the last plan. */
  #untold: SequenceId[] = []
  readonly #service = new ServiceNotes()
  #inFlight: StepPlan | undefined
  /** One for each entry of the plan in flight, or of the last one. */
  #sequencesInFlight: readonly Sequence[] = []
  #work: StepWork = { numDecodes: 0, numPrefillTokens: 0, attendedKeys: 0 }
  #nextSequence = 1
  #step = 0

  /** @throws {ServingError} INVALID_CONFIG */
  constructor(config: SchedulerConfig, kv: KvCacheManager, policy: SchedulingPolicy) {
    const budget = new TokenBudget(config)
    const waiting = policy.createQueue()
    const swapIns = new SwapIns(kv, waiting)
    const programs = policy.knowsPrograms === true ? new ProgramBook(kv) : undefined
    const capacity = Math.min(config.maxNumSeqs, config.maxNumBatchedTokens)
    const running = new RunningSet({ kv, policy, programs, waiting, capacity })
    const room = new Room(kv, running.sequences, config.growthHeadroom)
    this.#kv = kv
    this.#policy = policy
    this.#budget = budget
    this.#compacts = config.compacts ?? true
    this.#maxLength = Math.min(config.maxModelLen, kv.numTokenSlots)
    this.#endTokenIds = new Set(config.endTokenIds)
    this.#waiting = waiting
    this.#swapIns = swapIns
    this.#programs = programs
    this.#running = running
    this.#entrance = new Entrance({ kv, budget, running, room, swapIns, programs })
    this.#yielding = new Yielding({ kv, policy, running, room, swapIns })
    if (kv.swapper !== undefined) kv.swapper.recomputeTime = budget.learnPrefillTime()
  }

  get numRunning(): number {
    return this.#running.size
  }

  /** Preempted sequences included, and those whose blocks are on their way. */
  get numWaiting(): number {
    return this.#waiting.size + this.#swapIns.size
  }

  get numPreemptionsTotal(): number {
    return this.#running.numPreemptions
  }

  /** What kept the first in line from running in the last plan; undefined when nobody waits. */
  get waitReason(): WaitReason | undefined {
    return this.numWaiting === 0 ? undefined : (this.#waitReason ?? 'swap')
  }

  /** Nothing runs, nothing waits, nothing is left to report. */
  get isIdle(): boolean {
    return this.#sequences.size === 0 && this.#finishedOutside.length === 0
  }

  /** The work of the plan in flight, or of the last one. */
  get work(): StepWork {
    return this.#work
  }

  /** `request.outputTokens` count as generated already. */
  add(request: ScheduledRequest): Admission {
    invariant(!this.#sequences.has(request.id), `request ${request.id} is here already`)
    const numPrompt = request.promptTokens.length
    if (numPrompt === 0) return { kind: 'rejected', message: 'The prompt is empty.' }
    if (numPrompt >= this.#maxLength)
      return { kind: 'rejected', message: tooLong(numPrompt, this.#maxLength) }
    const maxLength = Math.min(this.#maxLength, numPrompt + request.maxTokens)
    const id = toSequenceId(this.#nextSequence++)
    const sequence = new Sequence(id, request, maxLength, stopTokensOf(request, this.#endTokenIds))
    sequence.keys = createKeys(this.#kv, request, sequence.tokens)
    this.#programs?.add(sequence)
    this.#sequences.set(request.id, sequence)
    this.#waiting.add(sequence)
    // One that continues elsewhere's work may be complete already.
    const reason = sequence.finishReason
    if (reason !== undefined) this.#finishOutside(sequence, reason)
    return { kind: 'added', sequence }
  }

  /** Ends a sequence: now, or with the step in flight if it is part of it. Unknown ids are ignored. */
  cancel(id: RequestId): void {
    const sequence = this.#sequences.get(id)
    if (sequence === undefined) return
    if (sequence.isInFlight) sequence.isCancelled = true
    else this.#finishOutside(sequence, 'cancelled')
  }

  /** The turn ends, or has just ended, in a call of this tool. Unknown ids are ignored in the end. */
  noteToolCall(id: RequestId, tool: string): void {
    this.#programs?.noteToolCall(id, tool)
  }

  /** Hands out each result once. */
  takeFinished(): readonly SequenceResult[] {
    const finished = this.#finishedOutside
    if (finished.length > 0) this.#finishedOutside = []
    return finished
  }

  /** Moves between the pool and the tiers below it, to be carried out while steps go on. Each is handed out once. */
  takeTransfers(): readonly Transfer[] {
    return this.#swapIns.takeTransfers()
  }

  /** What came of a transfer; not while a step is in flight. */
  finishTransfer(outcome: TransferOutcome): void {
    invariant(this.#inFlight === undefined, 'a transfer ends between steps')
    this.#swapIns.finish(outcome)
  }

  schedule(now: Micros): StepPlan | undefined {
    invariant(this.#inFlight === undefined, 'one step at a time')
    const running = this.#running.sequences
    this.#programs?.begin(now)
    this.#budget.begin(this.#policy.stepTarget?.(running))
    const preempted = this.#running.grow()
    // What a preemption has just freed is for those that run on.
    const mayAdmit = preempted.length === 0
    if (mayAdmit) this.#entrance.beginSwapIns(now)
    const heir = mayAdmit ? this.#yielding.yieldPlaces(preempted, now) : undefined
    const turn = { now, heir, preempted }
    const draft = new PlanDraft(this.#kv, this.#budget)
    if (this.#compacts) draft.compact(running, this.numWaiting)
    const later = this.#pickLater(turn)
    // Who has caught up goes first: no stream waits for a prompt, unless the policy lets it.
    for (const sequence of running) {
      if (sequence.numPendingTokens === 1 && !later.has(sequence)) draft.add(sequence)
    }
    const sharing = running.filter((each) => each.numPendingTokens > 1 || later.has(each))
    let next = mayAdmit ? this.#yielding.next(turn) : undefined
    for (const sequence of this.#policy.sortForStep?.(sharing) ?? sharing) {
      while (next !== undefined && this.#policy.goesAhead?.(next, sequence) === true) {
        const size = this.#running.size
        this.#entrance.admit(draft, turn, 1)
        // Who does not get in now does not get in later: room only shrinks.
        next = this.#running.size > size ? this.#yielding.next(turn) : undefined
      }
      if (later.has(sequence)) draft.addLater(sequence)
      else draft.add(sequence)
    }
    this.#waitReason = mayAdmit ? this.#entrance.admit(draft, turn) : 'preemption'
    this.#kv.swapper?.keepAll()
    this.#untold.push(...preempted)
    if (draft.entries.length === 0) return undefined
    this.#kv.swapper?.tidy()
    this.#work = this.#budget.work
    const numTokens = this.#work.numDecodes + this.#work.numPrefillTokens
    const { entries, copies } = draft
    this.#sequencesInFlight = draft.sequences
    this.#inFlight = { step: ++this.#step, entries, numTokens, preempted: this.#untold, copies }
    this.#untold = []
    return this.#inFlight
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
    if (stepMicros !== undefined) {
      this.#budget.observe(this.#work, stepMicros)
      this.#programs?.observe(this.#work, stepMicros)
    }
    const results: SequenceResult[] = []
    for (let index = 0; index < plan.entries.length; index += 1) {
      const sequence = this.#sequencesInFlight[index]!
      const outcome = { sampled: sampled[index], now }
      const result = applyEntry(this.#kv, sequence, plan.entries[index]!, outcome)
      if (result === undefined) continue
      results.push(result)
      // It leaves the running ones with all others that finish.
      if (result.finish !== undefined) this.#finish(sequence, result.finish)
    }
    this.#kv.endStep()
    this.#running.dropFinished()
    this.#tellService(plan.entries, stepMicros === undefined ? [] : [stepMicros], now)
    for (const { sequence, finish } of results) {
      if (finish !== undefined) this.#policy.onFinished?.(sequence)
    }
    return results
  }

  /**
   * How many steps can end like the one in flight before anything else can happen, if nobody comes or goes and every
   * sample is a token that ends nothing; at most `most`.
   */
  numRepeats(most: number): number {
    const plan = this.#inFlight
    if (plan === undefined || this.numWaiting > 0) return 0
    if (mayStandBack(this.#policy, this.#running.sequences)) return 0
    return repeatsOf(plan, this.#running.sequences, { kv: this.#kv, most })
  }

  /**
   * As many steps as `durations` has microseconds end one after the other, the last one now; each sampled `token` for
   * everybody. No more than `numRepeats` allows. Returns the plan that is in flight then.
   */
  repeat(durations: readonly number[], token: number, now: Micros): StepPlan {
    const { entries } = this.#inFlight!
    const numSteps = durations.length
    const { numDecodes, numPrefillTokens, attendedKeys } = this.#work
    let at = durations.reduce((time, duration) => time - duration, now as number)
    for (const [index, stepMicros] of durations.entries()) {
      if (index > 0) {
        this.#programs?.begin(micros(at))
        this.#running.grow()
      }
      at += stepMicros
      const keys = attendedKeys + index * entries.length
      this.#budget.observe({ numDecodes, numPrefillTokens, attendedKeys: keys }, stepMicros)
      appendToAll(this.#running.sequences, token, this.#kv)
    }
    this.#tellService(entries, durations, now)
    this.#step += numSteps - 1
    this.#inFlight = undefined
    const plan = this.schedule(now)
    invariant(plan !== undefined && plan.entries.length === entries.length, 'a repeated step was another one')
    return plan
  }

  /** @throws {InvariantError} when queues, blocks and sequences disagree. */
  checkInvariants(): void {
    this.#kv.checkInvariants()
    this.#waiting.checkInvariants()
    this.#running.checkInvariants()
    const count = this.#running.size + this.numWaiting
    invariant(count === this.#sequences.size, `${count} in queues, ${this.#sequences.size} known`)
    for (const { id, status, numComputedTokens } of [...this.#waiting.values(), ...this.#swapIns.values()]) {
      invariant(status === 'waiting' || status === 'preempted', `sequence ${id} waits and is ${status}`)
      invariant(numComputedTokens === 0, `sequence ${id} waits and has KV`)
    }
  }

  /** Streams that the step is not first of all for. */
  #pickLater({ now, heir }: Turn): ReadonlySet<SequenceView> {
    const outlook = this.#policy.pickLater === undefined ? undefined : this.#budget.outlook(now)
    if (outlook === undefined) return nobody
    const next = heir ?? this.#swapIns.next(now)
    const later = this.#policy.pickLater?.(this.#running.sequences, next, outlook) ?? []
    return later.length === 0 ? nobody : new Set(later)
  }

  /** `durations`: of a step, or of several in which the same sequences decoded. */
  #tellService(entries: readonly PlanEntry[], durations: readonly number[], now: Micros): void {
    if (this.#policy.onStepEnd === undefined) return
    const served = this.#service.of(this.#sequencesInFlight, entries, Math.max(1, durations.length))
    this.#policy.onStepEnd({ now, durations, served })
  }

  #finishOutside(sequence: Sequence, finish: FinishReason): void {
    if (sequence.status === 'running') this.#running.remove(sequence)
    else if (!this.#swapIns.cancel(sequence)) this.#waiting.remove(sequence)
    this.#finish(sequence, finish)
    this.#finishedOutside.push({ sequence, tokenId: undefined, finish })
    this.#policy.onFinished?.(sequence)
  }

  #finish(sequence: Sequence, reason: FinishReason): void {
    sequence.status = 'finished'
    this.#kv.noteTail(sequence.id, sequence.numComputedTokens)
    if (this.#programs === undefined) this.#kv.free(sequence.id)
    else this.#programs.end(sequence, reason)
    this.#sequences.delete(sequence.request.id)
  }
}
