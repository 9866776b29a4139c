import { invariant } from '../core/errors.ts'
import type { SequenceId } from '../core/units.ts'
import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { PrefixHit } from '../kvcache/prefix-cache.ts'
import type { Transfer, TransferOutcome } from '../kvcache/transfer.ts'
import type { Sequence } from './sequence.ts'
import type { WaitingQueue } from './waiting-queue.ts'

/** More at once would share one disk, and take the pool from those that run. */
const mostUnderWay = 4

/**
 * Sequences that wait for their blocks to come back from a tier. Meanwhile they are in no queue, and so in nobody's
 * way; afterwards they wait like everybody else, and find their blocks in the prefix cache.
 */
export class SwapIns {
  readonly #kv: KvCacheManager
  readonly #queue: WaitingQueue
  readonly #sequences = new Map<SequenceId, Sequence>()

  /** `queue`: where sequences come from, and go back to. */
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

  /** As `KvCacheManager.bringBack`, for a sequence of the queue, which has left it after `begun`. */
  begin(sequence: Sequence, hit: PrefixHit): 'nothing' | 'waits' | 'begun' {
    const { id, keys, tokens, status } = sequence
    const reason = status === 'preempted' ? 'resume' : 'prefix'
    const returner = { id, keys, maxTokens: tokens.length - 1, reason } as const
    if (this.#sequences.size >= mostUnderWay) return this.#kv.isBelow(returner, hit) ? 'waits' : 'nothing'
    const begun = this.#kv.bringBack(returner, hit)
    if (begun !== 'begun') return begun
    this.#sequences.set(id, sequence)
    this.#queue.remove(sequence)
    return begun
  }

  /** Nobody waits for it any more. False when it is not here. */
  cancel({ id }: Sequence): boolean {
    return this.#sequences.delete(id)
  }

  /** What is to be moved from now on; each is handed out once. */
  takeTransfers(): readonly Transfer[] {
    return this.#kv.swapper?.takeTransfers() ?? []
  }

  /** What came of a transfer: who waited for it is in the queue again. */
  finish(outcome: TransferOutcome): void {
    invariant(this.#kv.swapper !== undefined, 'there are no tiers')
    const id = this.#kv.swapper.finish(outcome)
    const sequence = id === undefined ? undefined : this.#sequences.get(id)
    if (sequence === undefined) return
    this.#sequences.delete(sequence.id)
    this.#queue.add(sequence)
  }
}
