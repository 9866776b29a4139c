import { invariant } from '../core/errors.ts'
import type { Micros, SequenceId } from '../core/units.ts'
import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { PrefixHit } from '../kvcache/prefix-cache.ts'
import type { Transfer, TransferOutcome } from '../kvcache/transfer.ts'
import type { Sequence } from './sequence.ts'
import type { WaitingQueue } from './waiting-queue.ts'

/** More at once would share one disk, and take the pool from those that run. */
const mostUnderWay = 4

/**
 * Sequences that wait for their blocks to come back from a tier. Meanwhile they are in nobody's way, and keep their
 * places in the queue: were they to line up anew, others would come before them, whose blocks push theirs out again,
 * and so on for ever. Afterwards they find their blocks in the prefix cache.
 */
export class SwapIns {
  readonly #kv: KvCacheManager
  readonly #queue: WaitingQueue
  readonly #sequences = new Map<SequenceId, Sequence>()
  #heir: Sequence | undefined

  /** `queue`: where sequences wait. */
  constructor(kv: KvCacheManager, queue: WaitingQueue) {
    this.#kv = kv
    this.#queue = queue
  }

  get size(): number {
    return this.#sequences.size
  }

  values(): Iterable<Sequence> {
    return this.#sequences.values()
  }

  /**
   * Who goes next: the first in line, or the one for whom others gave up their places, once its blocks are there. If
   * those who gave way could come before it then, they would have to give way again, and so on for ever.
   */
  next(now: Micros): Sequence | undefined {
    const status = this.#heir?.status
    if (status !== 'waiting' && status !== 'preempted') this.#heir = undefined
    const isThere = this.#heir !== undefined && !this.#sequences.has(this.#heir.id)
    return isThere ? this.#heir : this.#queue.peek(now)
  }

  /** Others gave up their places for a sequence, which is returned. Without tiers it has them at once. */
  noteHeir(sequence: Sequence): Sequence {
    if (this.#kv.swapper !== undefined) this.#heir = sequence
    return sequence
  }

  /** As `KvCacheManager.bringBack`, for a sequence of the queue, which is set aside after `begun`. */
  begin(sequence: Sequence, hit: PrefixHit): 'nothing' | 'waits' | 'begun' {
    const { id, keys, tokens, status } = sequence
    const reason = status === 'preempted' ? 'resume' : 'prefix'
    const returner = { id, keys, maxTokens: tokens.length - 1, reason } as const
    if (this.#sequences.size >= mostUnderWay) return this.#kv.isBelow(returner, hit) ? 'waits' : 'nothing'
    const begun = this.#kv.bringBack(returner, hit)
    if (begun !== 'begun') return begun
    this.#sequences.set(id, sequence)
    this.#queue.setAside(sequence)
    return begun
  }

  /** It waits no longer: it runs from now on. */
  leave(sequence: Sequence): void {
    this.#queue.remove(sequence)
  }

  /** Nobody waits for it any more. False when it is not here. */
  cancel(sequence: Sequence): boolean {
    if (!this.#sequences.delete(sequence.id)) return false
    this.#queue.putBack(sequence)
    this.#queue.remove(sequence)
    return true
  }

  /** What is to be moved from now on; each is handed out once. */
  takeTransfers(): readonly Transfer[] {
    return this.#kv.swapper?.takeTransfers() ?? []
  }

  /** What came of a transfer: who waited for it waits for its turn again. */
  finish(outcome: TransferOutcome): void {
    invariant(this.#kv.swapper !== undefined, 'there are no tiers')
    const id = this.#kv.swapper.finish(outcome)
    const sequence = id === undefined ? undefined : this.#sequences.get(id)
    if (sequence === undefined) return
    this.#sequences.delete(sequence.id)
    this.#queue.putBack(sequence)
  }
}
