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
    const before = this.slice(0, index)
    const behind = this.slice(index + 1, this.#numBlocks)
    this.#extents = []
    this.#numBlocks = 0
    this.append([...before, { start: block, length: 1 }, ...behind])
  }

  /**
   * The table with its blocks from `first` on in the places of a run, the first one at its beginning. Undefined where
   * the run is longer than they are.
   */
  withRun(first: number, run: Extent): BlockTable | undefined {
    if (first + run.length > this.#numBlocks) return undefined
    const table = new BlockTable()
    table.append([...this.slice(0, first), run, ...this.slice(first + run.length, this.#numBlocks)])
    return table
  }

  /** The extents of the blocks [from, to). */
  slice(from: number, to: number): Extent[] {
    const parts: Extent[] = []
    let position = 0
    for (const { start, length } of this.#extents) {
      const first = Math.max(from, position)
      const end = Math.min(to, position + length)
      if (first < end) parts.push({ start: toBlockId(start + first - position), length: end - first })
      position += length
    }
    return parts
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
