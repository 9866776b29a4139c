import { invariant } from '../core/errors.ts'
import type { SequenceId } from '../core/units.ts'
import { BlockPool } from './block-pool.ts'
import { BlockTable } from './block-table.ts'
import type { Extent } from './extent.ts'

export interface KvCacheSize {
  readonly numBlocks: number
  /** Tokens per block: a power of two. */
  readonly blockSize: number
}

/**
 * Room to grow, in tokens, that is looked for behind new blocks at most. Without it best fit puts every single block
 * into the smallest hole, where the next one never fits: sequences then have several times as many extents.
 */
const growthRoom = 512

const noExtents: readonly Extent[] = []

/**
 * What the scheduler talks to: which sequence holds which blocks. It decides nothing about who deserves them, and
 * running out is an answer, not an error. Where blocks come from is `BlockPool`'s business.
 */
export class KvCacheManager {
  readonly blockSize: number
  readonly #pool: BlockPool
  readonly #tables = new Map<SequenceId, BlockTable>()

  constructor({ numBlocks, blockSize }: KvCacheSize) {
    invariant(blockSize > 0 && (blockSize & (blockSize - 1)) === 0, `a block of ${blockSize} tokens`)
    this.blockSize = blockSize
    this.#pool = new BlockPool(numBlocks)
  }

  get numBlocks(): number {
    return this.#pool.numBlocks
  }

  get numFreeBlocks(): number {
    return this.#pool.numFreeBlocks
  }

  get numFreeRuns(): number {
    return this.#pool.numFreeRuns
  }

  /** Token slots of the whole pool: the longest sequence that can ever fit. */
  get numTokenSlots(): number {
    return this.#pool.numBlocks * this.blockSize
  }

  /** Share of the pool in use, 0 to 1. */
  get usage(): number {
    return 1 - this.#pool.numFreeBlocks / this.#pool.numBlocks
  }

  /** Sequences that hold blocks. */
  get numSequences(): number {
    return this.#tables.size
  }

  /** Tokens the sequence's blocks can hold; 0 when it has none. */
  capacityOf(sequenceId: SequenceId): number {
    return (this.#tables.get(sequenceId)?.numBlocks ?? 0) * this.blockSize
  }

  /** Blocks to allocate before the sequence can hold `numTokens` tokens in all. */
  numBlocksToGrow(sequenceId: SequenceId, numTokens: number): number {
    const held = this.#tables.get(sequenceId)?.numBlocks ?? 0
    return Math.max(0, Math.ceil(numTokens / this.blockSize) - held)
  }

  /** Whether `grow` would succeed and leave `numSpareBlocks` free. */
  canGrow(sequenceId: SequenceId, numTokens: number, numSpareBlocks = 0): boolean {
    return this.numBlocksToGrow(sequenceId, numTokens) + numSpareBlocks <= this.#pool.numFreeBlocks
  }

  /**
   * Makes room for `numTokens` tokens in all. False, and nothing changed, when blocks run out. `maxTokens`: how long
   * the sequence may become, so that new blocks are placed where they can grow.
   */
  grow(sequenceId: SequenceId, numTokens: number, maxTokens = numTokens): boolean {
    const numBlocks = this.numBlocksToGrow(sequenceId, numTokens)
    if (numBlocks === 0) return true
    const table = this.#tables.get(sequenceId) ?? new BlockTable()
    const added = this.#pool.allocate({
      numBlocks,
      after: table.lastBlock,
      expectedGrowth: Math.ceil(Math.max(0, Math.min(growthRoom, maxTokens - numTokens)) / this.blockSize),
    })
    if (!added) return false
    table.append(added)
    this.#tables.set(sequenceId, table)
    return true
  }

  /** Gives back all blocks of the sequence; nothing happens when it has none. */
  free(sequenceId: SequenceId): void {
    const table = this.#tables.get(sequenceId)
    if (!table) return
    this.#tables.delete(sequenceId)
    for (const extent of table.extents) this.#pool.release(extent)
  }

  /** The sequence's blocks in token order. The array is never changed afterwards. */
  extentsOf(sequenceId: SequenceId): readonly Extent[] {
    return this.#tables.get(sequenceId)?.extents ?? noExtents
  }

  /** @throws {InvariantError} unless every block's reference count equals its uses in block tables. */
  checkInvariants(): void {
    this.#pool.checkInvariants()
    const uses = new Int32Array(this.numBlocks)
    for (const table of this.#tables.values()) {
      let numBlocks = 0
      for (const { start, length } of table.extents) {
        numBlocks += length
        for (let block = start as number; block < start + length; block += 1) uses[block]! += 1
      }
      invariant(numBlocks === table.numBlocks, `a table of ${table.numBlocks} blocks lists ${numBlocks}`)
    }
    this.#pool.checkReferences(uses)
  }
}
