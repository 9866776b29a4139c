import type { BlockId } from '../core/units.ts'
import type { BlockTable } from './block-table.ts'
import type { PrefixCache, PrefixHit } from './prefix-cache.ts'

/** How newcomers come by the partly filled block at the end of what was found for them. */
export class TailCopies {
  numCopied = 0
  readonly #cache: PrefixCache
  readonly #blockSize: number
  /** Blocks that the step in flight copies from: nobody may have them before. */
  #sources: { readonly block: BlockId; readonly position: number }[] = []

  constructor(cache: PrefixCache, blockSize: number) {
    this.#cache = cache
    this.#blockSize = blockSize
  }

  /**
   * Goes on in the block of the hit's tail where nobody else needs it as it is; else makes ready to copy it. `isLast`:
   * the newcomer needs all blocks that are to be had.
   */
  take(table: BlockTable, { tail, numBlocks }: PrefixHit, isLast: boolean): 'none' | 'own' | 'copy' {
    if (tail === undefined) return 'none'
    const extent = { start: tail.block, length: 1 }
    if (this.#cache.endsWith(tail.block, tail.numTokens)) {
      this.#cache.use([extent])
      table.append([extent])
      return 'own'
    }
    // It would take the last block that could be had.
    if (isLast && this.#cache.isCached(tail.block)) return 'none'
    this.#cache.use([extent])
    this.#sources.push({ block: tail.block, position: numBlocks * this.#blockSize })
    this.numCopied += 1
    return 'copy'
  }

  *sources(): Generator<BlockId> {
    for (const { block } of this.#sources) yield block
  }

  /** The copies are made: what they were made from may change again. */
  endStep(step: number): void {
    for (const { block, position } of this.#sources) {
      this.#cache.letGo(block, { step, position, retention: 1 })
    }
    this.#sources = []
  }
}
