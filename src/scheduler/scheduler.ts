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
import type { FinishReason, GenerationRequest } from '../core/request.ts'
import { micros, toSequenceId, type Micros, type RequestId, type SequenceId } from '../core/units.ts'
import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { PrefixHit } from '../kvcache/prefix-cache.ts'
import type { Transfer, TransferOutcome } from '../kvcache/transfer.ts'
import { createKeys, stopTokensOf, tooLong, type Admission } from './admission.ts'
import type { SchedulingPolicy, Served } from './policy.ts'
import { PlanDraft } from './plan-draft.ts'
import { isBeingComputed } from './prefix-sharing.ts'
import { ProgramBook } from './programs/program-book.ts'
import { appendToAll, repeatsOf } from './repeated-steps.ts'
import { Room } from './room.ts'
import type { SchedulerConfig } from './scheduler-config.ts'
import { dropFinished, Sequence, type SequenceView } from './sequence.ts'
import type { BlockCopy, PlanEntry, StepPlan } from './step-plan.ts'
import type { StepWork } from './step-work.ts'
import { SwapIns } from './swap-ins.ts'
import type { WaitReason } from './timeline.ts'
import { TokenBudget } from './token-budget.ts'
import type { WaitingQueue } from './waiting-queue.ts'

/** What happened to one sequence. */
export interface SequenceResult {
  readonly sequence: SequenceView
  /** The token appended in this step, if any; a token that ends the sequence is one. */
  readonly tokenId: number | undefined
  readonly finish: FinishReason | undefined
}

/** A sampled token per plan entry; undefined where nothing was sampled, `failed` where sampling broke. */
export type Sampled = number | undefined | 'failed'

/** Who lost places, and whom they are for. */
interface Yielded {
  readonly heir: Sequence | undefined
  readonly preempted: readonly SequenceId[]
  /** How many may be admitted now. */
  readonly most?: number
}

const maxYieldsPerStep = 4

export class Scheduler {
  readonly #kv: KvCacheManager
  readonly #policy: SchedulingPolicy
  readonly #budget: TokenBudget
  readonly #maxNumSeqs: number
  readonly #compacts: boolean
  readonly #room: Room
  /** Longest sequence that model and pool can hold. */
  readonly #maxLength: number
  readonly #endTokenIds: ReadonlySet<number>
  readonly #sequences = new Map<RequestId, Sequence>()
  readonly #waiting: WaitingQueue
  readonly #swapIns: SwapIns
  readonly #programs: ProgramBook | undefined
  /** In order of admission. Each has blocks for all its tokens, except perhaps the one sampled last. */
  readonly #running: Sequence[] = []
  #finishedOutside: SequenceResult[] = []
  #waitReason: WaitReason | undefined
  /** Preempted since the last plan. */
  #untold: SequenceId[] = []
  #inFlight: StepPlan | undefined
  #work: StepWork = { numDecodes: 0, numPrefillTokens: 0, attendedKeys: 0 }
  #nextSequence = 1
  #step = 0
  #numPreemptions = 0

  /** @throws {ServingError} INVALID_CONFIG */
  constructor(config: SchedulerConfig, kv: KvCacheManager, policy: SchedulingPolicy) {
    this.#kv = kv
    this.#policy = policy
    this.#budget = new TokenBudget(config)
    this.#maxNumSeqs = Math.min(config.maxNumSeqs, config.maxNumBatchedTokens)
    this.#compacts = config.compacts ?? true
    this.#room = new Room(kv, this.#running, config.growthHeadroom)
    this.#maxLength = Math.min(config.maxModelLen, kv.numTokenSlots)
    this.#endTokenIds = new Set(config.endTokenIds)
    this.#waiting = policy.createQueue()
    this.#swapIns = new SwapIns(kv, this.#waiting)
    this.#programs = policy.knowsPrograms === true ? new ProgramBook(kv) : undefined
    if (kv.swapper !== undefined) kv.swapper.recomputeTime = this.#budget.learnPrefillTime()
  }

  get numRunning(): number {
    return this.#running.length
  }

  /** Preempted sequences included, and those whose blocks are on their way. */
  get numWaiting(): number {
    return this.#waiting.size + this.#swapIns.size
  }

  get numPreemptionsTotal(): number {
    return this.#numPreemptions
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
  add(request: GenerationRequest): Admission {
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
    this.#programs?.begin(now)
    this.#budget.begin(this.#policy.stepTarget?.(this.#running))
    const preempted = this.#growRunning()
    // What a preemption has just freed is for those that run on.
    const mayAdmit = preempted.length === 0
    if (mayAdmit) this.#beginSwapIns(now)
    const heir = mayAdmit ? this.#yieldPlaces(preempted, now) : undefined
    const draft = new PlanDraft(this.#kv, this.#budget)
    if (this.#compacts) draft.compact(this.#running, this.numWaiting)
    // Who has caught up goes first: no stream waits for a prompt.
    for (const sequence of this.#running) {
      if (sequence.numPendingTokens === 1) draft.add(sequence)
    }
    const prefilling = this.#running.filter(({ numPendingTokens }) => numPendingTokens > 1)
    if (mayAdmit && this.#isAhead(heir ?? this.#swapIns.next(now), prefilling)) {
      this.#admitWaiting(draft, now, { heir, preempted, most: 1 })
    }
    for (const sequence of prefilling) draft.add(sequence)
    this.#waitReason = mayAdmit ? this.#admitWaiting(draft, now, { heir, preempted }) : 'preemption'
    this.#kv.swapper?.keepAll()
    this.#untold.push(...preempted)
    if (draft.entries.length === 0) return undefined
    this.#kv.swapper?.tidy()
    this.#work = this.#budget.work
    const numTokens = this.#work.numDecodes + this.#work.numPrefillTokens
    const { entries, copies } = draft
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
    const served: Served[] = []
    const isServiceNoted = this.#policy.onStepEnd !== undefined
    plan.entries.forEach((entry, index) => {
      const sequence = this.#sequences.get(entry.requestId)!
      const { position, tokens, samples } = entry
      if (isServiceNoted)
        served.push({ sequence, position, numTokens: tokens.length, numSamples: samples ? 1 : 0 })
      const result = this.#advance(sequence, entry, sampled[index], now)
      if (result !== undefined) results.push(result)
    })
    this.#kv.endStep()
    dropFinished(this.#running)
    const durations = stepMicros === undefined ? [] : [stepMicros]
    this.#policy.onStepEnd?.({ now, durations, served })
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
    return repeatsOf(plan, this.#running, { kv: this.#kv, most })
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
        this.#growRunning()
      }
      at += stepMicros
      const keys = attendedKeys + index * entries.length
      this.#budget.observe({ numDecodes, numPrefillTokens, attendedKeys: keys }, stepMicros)
      appendToAll(this.#running, token, this.#kv)
    }
    const served = this.#running.map((sequence, index): Served => {
      const { position } = entries[index]!
      return { sequence, position, numTokens: numSteps, numSamples: numSteps }
    })
    this.#policy.onStepEnd?.({ now, durations, served })
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
    const count = this.#running.length + this.numWaiting
    invariant(count === this.#sequences.size, `${count} in queues, ${this.#sequences.size} known`)
    invariant(this.#running.length <= this.#maxNumSeqs, `${this.#running.length} sequences run`)
    invariant(this.#kv.numSequences === this.#running.length, 'somebody holds blocks who does not run')
    for (const { id, status, numComputedTokens } of [...this.#waiting.values(), ...this.#swapIns.values()]) {
      invariant(status === 'waiting' || status === 'preempted', `sequence ${id} waits and is ${status}`)
      invariant(numComputedTokens === 0, `sequence ${id} waits and has KV`)
    }
    for (const sequence of this.#running) {
      const { id, status, tokens } = sequence
      invariant(status === 'running', `sequence ${id} runs and is ${status}`)
      invariant(sequence.numPendingTokens > 0, `sequence ${id} runs and has nothing to compute`)
      invariant(this.#kv.capacityOf(id) >= tokens.length - 1, `sequence ${id} outgrew its blocks`)
      invariant(tokens.length < sequence.maxLength, `sequence ${id} runs beyond its end`)
    }
  }

  /** Gives every running sequence blocks for all its tokens, at the cost of those that the policy picks. */
  #growRunning(): SequenceId[] {
    const preempted: SequenceId[] = []
    for (let index = 0; index < this.#running.length; index += 1) {
      const sequence = this.#running[index]!
      while (sequence.status === 'running' && !this.#grow(sequence)) {
        if (this.#kv.swapper?.releaseOthers(undefined)) continue
        const picked = this.#policy.pickVictim(this.#running) ?? sequence
        const victimIndex = this.#running.findIndex(({ id }) => id === picked.id)
        invariant(victimIndex >= 0, `policy ${this.#policy.name} picked a victim that does not run`)
        this.#preempt(victimIndex)
        preempted.push(picked.id)
        if (victimIndex <= index) index -= 1
      }
    }
    return preempted
  }

  #grow(sequence: Sequence): boolean {
    const { id, tokens, maxLength, numTokenSlots } = sequence
    if (tokens.length <= numTokenSlots) return true
    if (!this.#kv.grow(id, tokens.length, maxLength)) return false
    sequence.numTokenSlots = this.#kv.capacityOf(id)
    return true
  }

  #preempt(runningIndex: number): void {
    const [victim] = this.#running.splice(runningIndex, 1) as [Sequence]
    // What it computed stays cached: it may find it again.
    this.#kv.noteTail(victim.id, victim.numComputedTokens)
    this.#kv.free(victim.id)
    victim.status = 'preempted'
    victim.numComputedTokens = 0
    victim.numPreemptions += 1
    this.#numPreemptions += 1
    this.#programs?.wait(victim)
    this.#waiting.add(victim)
  }

  /**
   * Lets the first in line have the places of those that the policy picks: a few a step, as each may have to be
   * computed again. Returns whom the places are for.
   */
  #yieldPlaces(preempted: SequenceId[], now: Micros): Sequence | undefined {
    const next = this.#policy.pickYielding === undefined ? undefined : this.#swapIns.next(now)
    if (next === undefined) return undefined
    // What it finds may be found because of those that yield: look again each time.
    for (let hit = this.#findPrefix(next); !this.#hasPlaceFor(next, hit); hit = this.#findPrefix(next)) {
      if (preempted.length === maxYieldsPerStep) break
      if (isBeingComputed(next, hit, this.#running, this.#kv.blockSize)) break
      const picked = this.#policy.pickYielding?.(next, this.#running)
      if (picked === undefined) break
      const index = this.#running.findIndex(({ id }) => id === picked.id)
      invariant(index >= 0, `policy ${this.#policy.name} picked one to yield that does not run`)
      this.#preempt(index)
      preempted.push(picked.id)
    }
    return preempted.length > 0 ? this.#swapIns.noteHeir(next) : undefined
  }

  /** The first in line may begin before prompts under way go on. */
  #isAhead(next: Sequence | undefined, prefilling: readonly Sequence[]): boolean {
    if (next === undefined || prefilling.length === 0) return false
    return this.#policy.goesAhead?.(next, prefilling) ?? false
  }

  #hasPlaceFor(sequence: Sequence, hit: PrefixHit): boolean {
    return this.#running.length < this.#maxNumSeqs && this.#room.isThereFor(sequence, hit)
  }

  /**
   * Admits in the policy's order while there is budget, a place, and room for all tokens of the newcomer at once, and
   * returns what kept the next one out.
   * Nobody comes back in the step in which it lost its place, and nobody computes what somebody else is computing.
   */
  #admitWaiting(
    draft: PlanDraft,
    now: Micros,
    { heir, preempted, most = Infinity }: Yielded,
  ): WaitReason | undefined {
    let first = heir?.status === 'running' ? undefined : heir
    for (let count = 0; count < most && this.#running.length < this.#maxNumSeqs; count += 1) {
      const sequence = first ?? this.#swapIns.next(now)
      first = undefined
      if (sequence === undefined) return undefined
      if (preempted.includes(sequence.id)) return 'preemption'
      const hit = this.#findPrefix(sequence)
      const reason = this.#obstacleTo(sequence, hit)
      if (reason !== undefined) return reason
      const swapIn = this.#swapIns.begin(sequence, hit)
      if (swapIn === 'begun') continue
      if (swapIn === 'waits' || !this.#kv.prepareStart(hit, sequence.tokens.length)) return 'swap'
      this.#waiting.remove(sequence)
      // What made room may have cost it the tail.
      this.#admit(sequence, this.#findPrefix(sequence), now, draft.copies)
      draft.add(sequence)
    }
    return 'places'
  }

  #obstacleTo(sequence: Sequence, hit: PrefixHit): WaitReason | undefined {
    const numTokens = sequence.tokens.length
    if (this.#budget.limit(hit.numTokens, numTokens - hit.numTokens) === 0) return 'step-budget'
    if (!this.#budget.bearsStream(numTokens)) return 'stream-targets'
    if (!this.#room.isThereFor(sequence, hit)) return 'memory'
    if (
      this.#running.length > 0 &&
      this.#programs?.holdsBack(sequence, hit, this.#room.numSpareBlocks) === true
    )
      return 'memory'
    const isShared = isBeingComputed(sequence, hit, this.#running, this.#kv.blockSize)
    return isShared ? 'shared-prefix' : undefined
  }

  /** Brings back early what those next in line will need, also while there is no place for them. */
  #beginSwapIns(now: Micros): void {
    if (this.#kv.swapper === undefined) return
    for (let next = this.#swapIns.next(now); next !== undefined; next = this.#swapIns.next(now)) {
      const hit = this.#findPrefix(next)
      if (!this.#room.isThereFor(next, hit) || this.#swapIns.begin(next, hit) !== 'begun') return
    }
  }

  #admit(sequence: Sequence, hit: PrefixHit, now: Micros, copies: BlockCopy[]): void {
    const { id, keys, request, tokens, maxLength } = sequence
    const isNew = sequence.firstScheduledAt === undefined
    const numPromptTokens = request.promptTokens.length
    const started = this.#kv.start(
      {
        id,
        keys,
        numTokens: tokens.length,
        maxTokens: maxLength,
        retention: request.cacheRetention ?? 1,
        isReturning: this.#programs?.isReturning(id) ?? false,
        numPromptTokens: isNew ? numPromptTokens : undefined,
      },
      hit,
    )
    invariant(started !== undefined, `there was no room for sequence ${id}`)
    if (started.copy !== undefined) copies.push(started.copy)
    if (isNew) sequence.numCachedTokens = Math.min(started.numTokens, numPromptTokens)
    sequence.numComputedTokens = started.numTokens
    sequence.numTokenSlots = this.#kv.capacityOf(id)
    sequence.status = 'running'
    sequence.firstScheduledAt ??= now
    this.#running.push(sequence)
    this.#programs?.admit(sequence)
    this.#policy.onAdmitted?.(sequence)
  }

  /** Its last token is computed in any case: without that there is nothing to sample from. */
  #findPrefix({ keys, tokens }: Sequence): PrefixHit {
    return this.#kv.findPrefix(keys, tokens.length - 1)
  }

  #advance(sequence: Sequence, entry: PlanEntry, sampled: Sampled, now: Micros): SequenceResult | undefined {
    invariant(sequence.id === entry.sequenceId, 'a sequence left in flight')
    sequence.isInFlight = false
    sequence.numComputedTokens = entry.position + entry.tokens.length
    const isBroken = entry.samples && typeof sampled !== 'number'
    if (isBroken) this.#kv.discard(sequence.id)
    else if (sequence.numComputedTokens - (entry.position & -this.#kv.blockSize) >= this.#kv.blockSize)
      this.#kv.noteComputed(sequence.id, sequence.numComputedTokens)
    if (sequence.isCancelled) return this.#finish(sequence, 'cancelled', undefined)
    if (!entry.samples) return undefined
    if (typeof sampled !== 'number') return this.#finish(sequence, 'error', undefined)
    // A prompt is complete: others of the same prompt can go on from here.
    if (sequence.firstTokenAt === undefined) this.#kv.noteTail(sequence.id, sequence.numComputedTokens)
    sequence.firstTokenAt ??= now
    sequence.tokens.push(sampled)
    const reason = sequence.finishReason
    if (reason !== undefined) return this.#finish(sequence, reason, sampled)
    return { sequence, tokenId: sampled, finish: undefined }
  }

  /** Leaves the sequence in the list of running ones: update() drops all that finished at once. */
  #finish(sequence: Sequence, reason: FinishReason, tokenId: number | undefined): SequenceResult {
    sequence.status = 'finished'
    this.#kv.noteTail(sequence.id, sequence.numComputedTokens)
    if (this.#programs === undefined) this.#kv.free(sequence.id)
    else this.#programs.end(sequence, reason)
    this.#sequences.delete(sequence.request.id)
    return { sequence, tokenId, finish: reason }
  }

  #finishOutside(sequence: Sequence, reason: FinishReason): void {
    if (sequence.status === 'running') this.#running.splice(this.#running.indexOf(sequence), 1)
    else if (!this.#swapIns.cancel(sequence)) this.#waiting.remove(sequence)
    this.#finishedOutside.push(this.#finish(sequence, reason, undefined))
    this.#policy.onFinished?.(sequence)
  }
}
