import type { Micros, SequenceId } from '../core/units.ts'
import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { PrefixHit } from '../kvcache/prefix-cache.ts'
import type { PlanDraft } from './plan-draft.ts'
import { findPrefix, isBeingComputed } from './prefix-sharing.ts'
import type { ProgramBook } from './programs/program-book.ts'
import type { Room } from './room.ts'
import type { RunningSet } from './running-set.ts'
import type { Sequence } from './sequence.ts'
import type { SwapIns } from './swap-ins.ts'
import type { WaitReason } from './timeline.ts'
import type { TokenBudget } from './token-budget.ts'

export interface EntranceParts {
  readonly kv: KvCacheManager
  readonly budget: TokenBudget
  readonly running: RunningSet
  readonly room: Room
  /** Says who is first in line. */
  readonly swapIns: SwapIns
  readonly programs: ProgramBook | undefined
}

/** For whom a step is. */
export interface Turn {
  readonly now: Micros
  /** Goes first: others gave up their places for it. */
  readonly heir: Sequence | undefined
  /** Who lost their places. */
  readonly preempted: readonly SequenceId[]
}

/** Where those that wait get in, one after the other: nobody passes the first in line. */
export class Entrance {
  readonly #parts: EntranceParts

  constructor(parts: EntranceParts) {
    this.#parts = parts
  }

  /**
   * Admits in the policy's order, `most` at most, while there is budget, a place, and room for all tokens of the
   * newcomer at once, and returns what kept the next one out.
   * Nobody comes back in the step in which it lost its place, and nobody computes what somebody else is computing.
   */
  admit(draft: PlanDraft, { now, heir, preempted }: Turn, most = Infinity): WaitReason | undefined {
    const { running, swapIns } = this.#parts
    let first = heir?.status === 'running' ? undefined : heir
    for (let count = 0; count < most && !running.isFull; count += 1) {
      const sequence = first ?? swapIns.next(now)
      first = undefined
      if (sequence === undefined) return undefined
      if (preempted.includes(sequence.id)) return 'preemption'
      const reason = this.#letIn(sequence, draft, now)
      if (reason !== undefined) return reason
    }
    return 'places'
  }

  /** Brings back early what those next in line will need, also while there is no place for them. */
  beginSwapIns(now: Micros): void {
    const { kv, room, swapIns } = this.#parts
    if (kv.swapper === undefined) return
    for (let next = swapIns.next(now); next !== undefined; next = swapIns.next(now)) {
      const hit = findPrefix(kv, next)
      if (!room.isThereFor(next, hit) || swapIns.begin(next, hit) !== 'begun') return
    }
  }

  /** What keeps it out; undefined when it got in, or its blocks are on their way. */
  #letIn(sequence: Sequence, draft: PlanDraft, now: Micros): WaitReason | undefined {
    const { kv, running, swapIns } = this.#parts
    const hit = findPrefix(kv, sequence)
    const reason = this.#obstacleTo(sequence, hit)
    if (reason !== undefined) return reason
    const swapIn = swapIns.begin(sequence, hit)
    if (swapIn === 'begun') return undefined
    if (swapIn === 'waits' || !kv.prepareStart(hit, sequence.tokens.length)) return 'swap'
    swapIns.leave(sequence)
    // What made room may have cost it the tail.
    const copy = running.admit(sequence, findPrefix(kv, sequence), now)
    if (copy !== undefined) draft.copies.push(copy)
    draft.add(sequence)
    return undefined
  }

  #obstacleTo(sequence: Sequence, hit: PrefixHit): WaitReason | undefined {
    const { kv, budget, running, room, programs } = this.#parts
    const numTokens = sequence.tokens.length
    if (budget.limit(hit.numTokens, numTokens - hit.numTokens) === 0) return 'step-budget'
    if (!budget.bearsStream(numTokens)) return 'stream-targets'
    if (!room.isThereFor(sequence, hit)) return 'memory'
    if (running.size > 0 && programs?.holdsBack(sequence, hit, room.numSpareBlocks) === true) return 'memory'
    return isBeingComputed(sequence, hit, running.sequences, kv.blockSize) ? 'shared-prefix' : undefined
  }
}
