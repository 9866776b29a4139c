import { invariant } from '../core/errors.ts'
import type { BlockId } from '../core/units.ts'
import type { BlockPool } from './block-pool.ts'
import type { BlockSwapper } from './block-swapper.ts'
import type { Extent } from './extent.ts'
import type { PrefixCache, PrefixHit } from './prefix-cache.ts'

/**
 * Room to grow, in tokens, that is looked for behind new blocks at most. Without it best fit puts every single block
 * into the smallest hole, where the next one never fits: sequences then have several times as many extents.
 */
const growthRoom = 512
/** Tokens to grow by at a time where blocks must be evicted for it, while so large a part of the pool is to be had. */
const growthAhead = 256
const ampleShare = 1 / 8
/** Part of the pool that may be evicted at once for the sake of longer runs. */
const orderShare = 1 / 64

export interface BlockSupplyParts {
  readonly pool: BlockPool
  readonly cache: PrefixCache | undefined
  readonly swapper: BlockSwapper | undefined
  readonly blockSize: number
}

/** What is to be had, and by whom. */
export interface Wanted {
  readonly numBlocks: number
  /** The last block of whoever asks. */
  readonly after: BlockId | undefined
  /** Tokens that whoever asks may still grow by. */
  readonly growth: number
}

/** Where new blocks come from: free ones, and cached ones that have to go for them. */
export class BlockSupply {
  /** Cached blocks that had to go: because blocks were needed, or so that a newcomer lies in one piece. */
  numEvictedForRoom = 0
  numEvictedForOrder = 0
  readonly #parts: BlockSupplyParts

  constructor(parts: BlockSupplyParts) {
    this.#parts = parts
  }

  /** Blocks that can be had at once: free ones, and cached ones, which nobody uses. */
  get numAvailable(): number {
    const { pool } = this.#parts
    return pool.numFreeBlocks + pool.numCachedBlocks
  }

  /** Blocks that `take` may give beyond those wanted. */
  get mostAhead(): number {
    return Math.ceil(growthAhead / this.#parts.blockSize)
  }

  /** Blocks, of which so many are available; a few more than wanted where that saves extents. */
  take({ numBlocks, after, growth }: Wanted): Extent[] {
    const { pool, blockSize } = this.#parts
    const expectedGrowth = Math.ceil(Math.max(0, Math.min(growthRoom, growth)) / blockSize)
    const numWanted = numBlocks + this.#numAhead(numBlocks, expectedGrowth)
    this.#evict(numWanted, expectedGrowth)
    const extents = pool.allocate({ numBlocks: numWanted, after, expectedGrowth })
    invariant(extents !== undefined, 'eviction made too little room')
    return extents
  }

  /**
   * Frees blocks until so many are free, where there are tiers: false while what has to go is still being written out.
   * Nothing of the hit is freed.
   */
  prepareRoom(hit: PrefixHit, numBlocks: number): boolean {
    const { pool, swapper } = this.#parts
    if (swapper === undefined) return true
    const numFree = pool.numFreeBlocks
    const isReady = swapper.prepareRoom(hit, numBlocks)
    this.numEvictedForRoom += pool.numFreeBlocks - numFree
    return isReady
  }

  /**
   * Blocks to take beyond those needed now. Where all that is not owned is cached, no room to grow is free: a sequence
   * that took one block at a time would get each from another place.
   */
  #numAhead(numBlocks: number, expectedGrowth: number): number {
    const { pool } = this.#parts
    if (pool.numCachedBlocks === 0) return 0
    const numAhead = Math.min(this.mostAhead, expectedGrowth)
    const numLeft = this.numAvailable - numBlocks - numAhead
    return numLeft < pool.numBlocks * ampleShare ? 0 : numAhead
  }

  /** Frees cached blocks until `numBlocks` are free, and some more where that makes a long run. */
  #evict(numBlocks: number, expectedGrowth: number): void {
    const { pool } = this.#parts
    if (pool.numCachedBlocks === 0) return
    while (pool.numFreeBlocks < numBlocks && this.#evictOne(false)) this.numEvictedForRoom += 1
    const wanted = numBlocks + 2 * expectedGrowth
    const most = Math.min(wanted, Math.floor(pool.numBlocks * orderShare))
    for (let count = 0; count < most && pool.longestFreeRun < numBlocks; count += 1) {
      if (!this.#evictOne(true)) return
      this.numEvictedForOrder += 1
    }
  }

  #evictOne(isGentle: boolean): boolean {
    const { swapper, cache } = this.#parts
    return swapper === undefined ? cache?.evict() === true : swapper.evict(isGentle)
  }
}
