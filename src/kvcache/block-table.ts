import { toBlockId, type BlockId } from '../core/units.ts'
import type { Extent } from './extent.ts'

/**
 * The blocks of one sequence in token order. `extents` is never changed in place: a plan may hold it while the
 * table grows.
 */
export class BlockTable {
  #extents: readonly Extent[] = []
  #numBlocks = 0

  get extents(): readonly Extent[] {
    return this.#extents
  }

  get numBlocks(): number {
    return this.#numBlocks
  }

  /** Undefined while the table is empty. */
  get lastBlock(): BlockId | undefined {
    const last = this.#extents.at(-1)
    return last && toBlockId(last.start + last.length - 1)
  }

  /** Adds extents at the end; one that continues the last extent lengthens it. */
  append(added: readonly Extent[]): void {
    const extents = [...this.#extents]
    for (const extent of added) {
      const last = extents.at(-1)
      if (last && last.start + last.length === extent.start) {
        extents[extents.length - 1] = { start: last.start, length: last.length + extent.length }
      } else {
        extents.push(extent)
      }
      this.#numBlocks += extent.length
    }
    this.#extents = extents
  }
}
