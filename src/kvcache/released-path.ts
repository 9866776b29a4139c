import type { BlockId } from '../core/units.ts'
import type { PrefixCache, Release } from './prefix-cache.ts'

/**
 * Blocks that one sequence let go of, from its first one on, for whoever expects it to come back: they can be made
 * worth more in eviction for a time. A wish, never a pin: they go when nothing is worth less. A block that was
 * evicted, or came to be worth something else meanwhile, is left as it is.
 */
export class ReleasedPath {
  readonly #cache: PrefixCache
  readonly #step: number
  readonly #blockSize: number
  readonly #blocks: Int32Array
  /** What each was worth then (NaN: somebody else has it still), and how often somebody had come back for it. */
  readonly #worths: Float64Array
  readonly #reuses: Uint16Array
  #raised: Float64Array | undefined

  /** `blocks`: in token order, let go of in this step. */
  constructor(
    cache: PrefixCache,
    blocks: readonly BlockId[],
    { step, blockSize }: { readonly step: number; readonly blockSize: number },
  ) {
    this.#cache = cache
    this.#step = step
    this.#blockSize = blockSize
    this.#blocks = Int32Array.from(blocks)
    this.#worths = Float64Array.from(blocks, (block) => (cache.isCached(block) ? cache.worthOf(block) : NaN))
    this.#reuses = Uint16Array.from(blocks, (block) => cache.reusesOf(block))
  }

  get numBlocks(): number {
    return this.#blocks.length
  }

  get isRaised(): boolean {
    return this.#raised !== undefined
  }

  /** Until `lower`; `retention`: as a multiple of what is usual. Nothing happens when they are raised already. */
  raise(retention: number): void {
    if (this.#raised !== undefined) return
    const raised = Float64Array.from(this.#worths)
    this.#blocks.forEach((block, index) => {
      const isSame = this.#cache.worthOf(block) === raised[index]
      if (isSame) raised[index] = this.#cache.raise(block, this.#releaseOf(index, retention))
    })
    this.#raised = raised
  }

  /** They are worth what they were; those that somebody used since, what they would be if they were let go of now. */
  lower(): void {
    const raised = this.#raised
    if (raised === undefined) return
    this.#raised = undefined
    this.#blocks.forEach((block, index) => {
      if (this.#cache.worthOf(block) !== raised[index]) return
      this.#cache.setWorth(block, this.#worths[index]!)
      const wasUsed = this.#cache.reusesOf(block) !== this.#reuses[index]
      if (wasUsed) this.#cache.raise(block, this.#releaseOf(index, 1))
    })
  }

  #releaseOf(index: number, retention: number): Release {
    return { step: this.#step, position: index * this.#blockSize, retention }
  }
}
