import { InvariantError } from '../core/errors.ts'
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

  /** The block that holds the tokens [index * blockSize, (index + 1) * blockSize). */
  blockAt(index: number): BlockId {
    let rest = index
    for (const { start, length } of this.#extents) {
      if (rest < length) return toBlockId(start + rest)
      rest -= length
    }
    throw new InvariantError(`a table of ${this.#numBlocks} blocks has no block ${index}`)
  }

  /** Puts another block of the same content in the place of one. Costs time in proportion to the extents. */
  replace(index: number, block: BlockId): void {
    const before: Extent[] = []
    const behind: Extent[] = []
    let first = 0
    for (const { start, length } of this.#extents) {
      const numBefore = Math.min(Math.max(0, index - first), length)
      const numBehind = Math.min(Math.max(0, first + length - index - 1), length)
      if (numBefore > 0) before.push({ start, length: numBefore })
      if (numBehind > 0) behind.push({ start: toBlockId(start + length - numBehind), length: numBehind })
      first += length
    }
    this.#extents = []
    this.#numBlocks = 0
    this.append([...before, { start: block, length: 1 }, ...behind])
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
