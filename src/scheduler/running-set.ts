import { invariant } from '../core/errors.ts'
import type { Micros, SequenceId } from '../core/units.ts'
import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { PrefixHit } from '../kvcache/prefix-cache.ts'
import type { SchedulingPolicy } from './policy.ts'
import type { ProgramBook } from './programs/program-book.ts'
import type { Sequence, SequenceView } from './sequence.ts'
import type { BlockCopy } from './step-plan.ts'
import type { WaitingQueue } from './waiting-queue.ts'

export interface RunningSetParts {
  readonly kv: KvCacheManager
  readonly policy: SchedulingPolicy
  readonly programs: ProgramBook | undefined
  /** Where those wait that lost their places. */
  readonly waiting: WaitingQueue
  /** How many run at most. */
  readonly capacity: number
}

/**
 * Those that run, and their blocks. Each has blocks for all its tokens, except perhaps the one sampled last; what a
 * sequence gets when it enters, grows and loses its place is decided elsewhere, or by the policy.
 */
export class RunningSet {
  readonly #parts: RunningSetParts
  readonly #sequences: Sequence[] = []
  #numPreemptions = 0

  constructor(parts: RunningSetParts) {
    this.#parts = parts
  }

  /** In order of admission; always the same array. */
  get sequences(): readonly Sequence[] {
    return this.#sequences
  }

  get size(): number {
    return this.#sequences.length
  }

  get isFull(): boolean {
    return this.#sequences.length >= this.#parts.capacity
  }

  /** Ever. */
  get numPreemptions(): number {
    return this.#numPreemptions
  }

  /** Lets one in that waits no more and has room; `hit` is of this moment. Returns what must be copied for it first. */
  admit(sequence: Sequence, hit: PrefixHit, now: Micros): BlockCopy | undefined {
    const { kv, policy, programs } = this.#parts
    const { id, keys, request, tokens, numPromptTokens, maxLength } = sequence
    const isNew = sequence.firstScheduledAt === undefined
    const started = kv.start(
      {
        id,
        keys,
        numTokens: tokens.length,
        maxTokens: maxLength,
        retention: request.cacheRetention ?? 1,
        isReturning: programs?.isReturning(id) ?? false,
        numPromptTokens: isNew ? numPromptTokens : undefined,
      },
      hit,
    )
    invariant(started !== undefined, `there was no room for sequence ${id}`)
    if (isNew) sequence.numCachedTokens = Math.min(started.numTokens, numPromptTokens)
    sequence.numComputedTokens = started.numTokens
    sequence.numTokenSlots = kv.capacityOf(id)
    sequence.status = 'running'
    sequence.firstScheduledAt ??= now
    this.#sequences.push(sequence)
    programs?.admit(sequence)
    policy.onAdmitted?.(sequence)
    return started.copy
  }

  /** Gives everybody blocks for all tokens, at the cost of those that the policy picks, which are returned. */
  grow(): SequenceId[] {
    const { kv, policy } = this.#parts
    const preempted: SequenceId[] = []
    for (let index = 0; index < this.#sequences.length; index += 1) {
      const sequence = this.#sequences[index]!
      while (sequence.status === 'running' && !this.#growOne(sequence)) {
        if (kv.swapper?.arrivals.releaseOthers(undefined)) continue
        const picked = policy.pickVictim(this.#sequences) ?? sequence
        preempted.push(picked.id)
        if (this.preempt(picked) <= index) index -= 1
      }
    }
    return preempted
  }

  /** Takes the place and the blocks of one that the policy picked. Returns where in the order it was. */
  preempt({ id }: SequenceView): number {
    const { kv, policy, programs, waiting } = this.#parts
    const index = this.#sequences.findIndex((each) => each.id === id)
    invariant(index >= 0, `policy ${policy.name} picked one to give way that does not run`)
    const [victim] = this.#sequences.splice(index, 1) as [Sequence]
    // What it computed stays cached: it may find it again.
    kv.noteTail(victim.id, victim.numComputedTokens)
    kv.free(victim.id)
    victim.status = 'preempted'
    victim.numComputedTokens = 0
    victim.numPreemptions += 1
    this.#numPreemptions += 1
    programs?.wait(victim)
    waiting.add(victim)
    return index
  }

  /** It ends outside a step; its blocks are given back elsewhere. */
  remove(sequence: Sequence): void {
    this.#sequences.splice(this.#sequences.indexOf(sequence), 1)
  }

  /** Those that ended with the step leave; the others keep their order. */
  dropFinished(): void {
    const sequences = this.#sequences
    let numKept = 0
    for (const sequence of sequences) {
      if (sequence.status !== 'finished') sequences[numKept++] = sequence
    }
    sequences.length = numKept
  }

  /** @throws {InvariantError} */
  checkInvariants(): void {
    const { kv, capacity } = this.#parts
    invariant(this.size <= capacity, `${this.size} sequences run`)
    invariant(kv.numSequences === this.size, 'somebody holds blocks who does not run')
    for (const sequence of this.#sequences) {
      const { id, status, tokens } = sequence
      invariant(status === 'running', `sequence ${id} runs and is ${status}`)
      invariant(sequence.numPendingTokens > 0, `sequence ${id} runs and has nothing to compute`)
      invariant(kv.capacityOf(id) >= tokens.length - 1, `sequence ${id} outgrew its blocks`)
      invariant(tokens.length < sequence.maxLength, `sequence ${id} runs beyond its end`)
    }
  }

  #growOne(sequence: Sequence): boolean {
    const { kv } = this.#parts
    const { id, tokens, maxLength, numTokenSlots } = sequence
    if (tokens.length <= numTokenSlots) return true
    if (!kv.grow(id, tokens.length, maxLength)) return false
    sequence.numTokenSlots = kv.capacityOf(id)
    return true
  }
}
