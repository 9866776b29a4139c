import { toBlockId, type BlockId } from '../core/units.ts'
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
  #numRaised = 0

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

  /** Blocks that it made worth more, and that were not already, while it is raised. */
  get numRaised(): number {
    return this.#numRaised
  }

  /** Until `lower`; `retention`: as a multiple of what is usual. Nothing happens when they are raised already. */
  raise(retention: number): void {
    if (this.#raised !== undefined) return
    const raised = Float64Array.from(this.#worths)
    this.#blocks.forEach((block, index) => {
      if (this.#cache.worthOf(block) !== raised[index]) return
      if (!this.#cache.isRaised(block)) this.#numRaised += 1
      raised[index] = this.#cache.raise(toBlockId(block), this.#releaseOf(index, retention))
    })
    this.#raised = raised
  }

  /** They are worth what they were; those that somebody used since, what they would be if they were let go of now. */
  lower(): void {
    const raised = this.#raised
    if (raised === undefined) return
    this.#raised = undefined
    this.#numRaised = 0
    this.#blocks.forEach((block, index) => {
      if (this.#cache.worthOf(block) !== raised[index]) return
      const wasUsed = this.#cache.reusesOf(block) !== this.#reuses[index]
      const release = wasUsed ? this.#releaseOf(index, 1) : undefined
      this.#cache.lower(toBlockId(block), this.#worths[index]!, release)
    })
  }

  #releaseOf(index: number, retention: number): Release {
    return { step: this.#step, position: index * this.#blockSize, retention }
  }
}
