import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { PrefixHit } from '../kvcache/prefix-cache.ts'
import type { Sequence } from './sequence.ts'

const usualHeadroom = 64

/** Whether the pool has blocks for a newcomer and for what everybody that runs will soon want. */
export class Room {
  readonly #kv: KvCacheManager
  readonly #running: readonly Sequence[]
  readonly #headroom: number

  /** `running`: those that run now, whenever it is looked at. `headroom`: see `SchedulerConfig.growthHeadroom`. */
  constructor(kv: KvCacheManager, running: readonly Sequence[], headroom = usualHeadroom) {
    this.#kv = kv
    this.#running = running
    this.#headroom = headroom
  }

  /** Room for everybody that runs, and one more, to grow. */
  get numSpareBlocks(): number {
    return Math.ceil(this.#headroom / this.#kv.blockSize) * (this.#running.length + 1)
  }

  /** What came back for others behind it in the line is in nobody's way. */
  isThereFor(sequence: Sequence, hit: PrefixHit): boolean {
    if (this.#fits(sequence, hit)) return true
    return this.#kv.swapper?.arrivals.releaseOthers(sequence.id) === true && this.#fits(sequence, hit)
  }

  #fits(sequence: Sequence, hit: PrefixHit): boolean {
    const kv = this.#kv
    const length = sequence.tokens.length
    if (this.#running.length === 0) return kv.canStart(hit, length)
    if (kv.canStart(hit, length, this.numSpareBlocks)) return true
    let numSpareBlocks = 0
    for (const other of this.#running)
      numSpareBlocks += kv.numBlocksToGrow(other.id, this.#withHeadroom(other))
    return kv.canStart(hit, this.#withHeadroom(sequence), numSpareBlocks)
  }

  #withHeadroom({ tokens, maxLength }: Sequence): number {
    return tokens.length + Math.min(this.#headroom, Math.ceil((maxLength - tokens.length) / 2))
  }
}
