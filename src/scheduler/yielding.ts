import type { Micros, SequenceId } from '../core/units.ts'
import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { SchedulingPolicy } from './policy.ts'
import type { Turn } from './entrance.ts'
import { findPrefix, isBeingComputed } from './prefix-sharing.ts'
import type { Room } from './room.ts'
import type { RunningSet } from './running-set.ts'
import type { Sequence } from './sequence.ts'
import type { SwapIns } from './swap-ins.ts'

export interface YieldingParts {
  readonly kv: KvCacheManager
  readonly policy: SchedulingPolicy
  readonly running: RunningSet
  readonly room: Room
  /** Says who is first in line. */
  readonly swapIns: SwapIns
}

/** Each may have to be computed again. */
const maxYieldsPerStep = 4

/** Who gives way to the first in line, as the policy wishes: with its place, or with its part of a step. */
export class Yielding {
  readonly #parts: YieldingParts

  constructor(parts: YieldingParts) {
    this.#parts = parts
  }

  /**
   * Lets the first in line have the places of those that the policy picks, a few a step; they are added to
   * `preempted`. Returns whom the places are for.
   */
  yieldPlaces(preempted: SequenceId[], now: Micros): Sequence | undefined {
    const { kv, policy, running, room, swapIns } = this.#parts
    const next = policy.pickYielding === undefined ? undefined : swapIns.next(now)
    if (next === undefined) return undefined
    while (preempted.length < maxYieldsPerStep) {
      // What it finds may be found because of those that yield: look again each time.
      const hit = findPrefix(kv, next)
      if (!running.isFull && room.isThereFor(next, hit)) break
      if (isBeingComputed(next, hit, running.sequences, kv.blockSize)) break
      const picked = policy.pickYielding?.(next, running.sequences)
      if (picked === undefined) break
      running.preempt(picked)
      preempted.push(picked.id)
    }
    return preempted.length > 0 ? swapIns.noteHeir(next) : undefined
  }

  /** Who may go ahead of those that run: the first in line, if the policy lets anybody. */
  next({ now, heir }: Turn): Sequence | undefined {
    const { policy, swapIns } = this.#parts
    if (policy.goesAhead === undefined) return undefined
    return heir === undefined || heir.status === 'running' ? swapIns.next(now) : heir
  }
}
