/**
 * Brings a sequence's extents together while nobody waits: the blocks at its end are copied to one free run, some in
 * each step, and its table takes the run when all of them are there. So a sequence never has more extents than before,
 * and a move can be given up at any moment. Laws: only blocks that one sequence alone uses change their place; what a
 * step copies from is nobody else's before that step is over.
 */
import { invariant } from '../core/errors.ts'
import { toBlockId, type BlockId, type SequenceId } from '../core/units.ts'
import type { BlockCopy } from './block-copy.ts'
import type { BlockPool } from './block-pool.ts'
import { blocksOf } from './block-lists.ts'
import { chooseMove } from './compaction.ts'
import type { Extent } from './extent.ts'
import type { Holding } from './holding.ts'
import type { PrefixCache } from './prefix-cache.ts'

export interface CompactorParts {
  readonly pool: BlockPool
  /** Undefined: nothing is found by its content. */
  readonly cache: PrefixCache | undefined
  readonly blockSize: number
}

interface Move {
  readonly id: SequenceId
  readonly holding: Holding
  /** Position in the table of the first block that moves. */
  readonly first: number
  /** The run, in one piece; its blocks are held by the move. */
  target: Extent
  numCopied: number
}

/** In one step: 8 blocks of 32 tokens are 1 to 4 MB, less than a millisecond. */
const mostCopies = 8
/** Room that is looked for behind the run, for the sequence to grow. */
const growthBlocks = 16

export class Compactor {
  readonly #parts: CompactorParts
  #move: Move | undefined
  /** Blocks that the step in flight copies from, for the last time. */
  #left: BlockId[] = []
  #lastId = -1
  #numMoved = 0

  constructor(parts: CompactorParts) {
    this.#parts = parts
  }

  /** Blocks that have changed their place; ever grows. */
  get numMovedBlocks(): number {
    return this.#numMoved
  }

  /** Blocks that belong to no sequence because of this. */
  *heldBlocks(): Generator<BlockId> {
    if (this.#move !== undefined) yield* blocksOf(this.#move.target)
    yield* this.#left
  }

  /** What the next step is to copy; tables are as they will be then. Not while a step is in flight. */
  plan(holdings: ReadonlyMap<SequenceId, Holding>): readonly BlockCopy[] {
    this.#move ??= this.#begin(holdings)
    const move = this.#move
    if (move === undefined) return []
    this.#extend(move)
    const { holding, first, target } = move
    const last = first + target.length
    const copies: BlockCopy[] = []
    const mostFull = Math.min(holding.numFull, last)
    while (copies.length < mostCopies && first + move.numCopied < mostFull) copies.push(this.#copyOf(move))
    if (first + move.numCopied < mostFull) return copies
    // One block may be partly filled, and is written to: it moves with the table. Those behind it are empty.
    const isPartial = holding.numFull >= first && holding.numFull < last
    const all = isPartial ? [...copies, this.#copyAt(move, holding.numFull)] : copies
    return this.#finish(move) ? all : []
  }

  /** Gives up what has begun. False when there was nothing. */
  abandon(): boolean {
    const move = this.#move
    if (move === undefined) return false
    this.#move = undefined
    this.#parts.pool.release(move.target)
    return true
  }

  /** The sequence ends, or loses its blocks. */
  forget(id: SequenceId): void {
    if (this.#move?.id === id) this.abandon()
  }

  /** The step that `plan` was for is over. */
  endStep(): void {
    for (const block of this.#left) this.#parts.pool.release({ start: block, length: 1 })
    this.#left = []
  }

  /** Looks at one sequence, another one each time. */
  #begin(holdings: ReadonlyMap<SequenceId, Holding>): Move | undefined {
    const id = this.#nextOf(holdings)
    if (id === undefined) return undefined
    this.#lastId = id
    const { pool } = this.#parts
    const holding = holdings.get(id)!
    const { extents } = holding.table
    const choice = chooseMove({
      extents,
      firstMovable: this.#firstMovable(holding),
      freeBehind: (block) => pool.numFreeBehind(block),
      longestFreeRun: pool.longestFreeRun,
    })
    if (choice === undefined) return undefined
    const { first, numBlocks, after } = choice
    const [target, ...rest] = pool.allocate({ numBlocks, after, expectedGrowth: growthBlocks }) ?? []
    invariant(target !== undefined && rest.length === 0, 'a run for a move is in several pieces')
    return { id, holding, first, target, numCopied: 0 }
  }

  /** The next sequence in several extents, by its number. */
  #nextOf(holdings: ReadonlyMap<SequenceId, Holding>): SequenceId | undefined {
    let next: SequenceId | undefined
    let lowest: SequenceId | undefined
    for (const [id, { table }] of holdings) {
      if (table.extents.length < 2) continue
      if (lowest === undefined || id < lowest) lowest = id
      if (id > this.#lastId && (next === undefined || id < next)) next = id
    }
    return next ?? lowest
  }

  #copyOf(move: Move): BlockCopy {
    const copy = this.#copyAt(move, move.first + move.numCopied)
    move.numCopied += 1
    return copy
  }

  #copyAt({ holding, first, target }: Move, position: number): BlockCopy {
    const to = toBlockId(target.start + position - first)
    return { from: holding.table.blockAt(position), to, numTokens: this.#parts.blockSize }
  }

  /** The sequence may have grown since the move began. */
  #extend(move: Move): void {
    const { pool } = this.#parts
    const { start, length } = move.target
    const numMissing = move.holding.table.numBlocks - move.first - length
    const last = toBlockId(start + length - 1)
    if (numMissing <= 0 || pool.numFreeBehind(last) < numMissing) return
    pool.allocate({ numBlocks: numMissing, after: last })
    move.target = { start, length: length + numMissing }
  }

  /** Gives the sequence its new blocks. False, and the move is given up, where that cannot be, or is of no use. */
  #finish(move: Move): boolean {
    const { pool, cache } = this.#parts
    const { holding, first, target } = move
    const { table } = holding
    const joined = table.withRun(first, target)
    const isUseful = joined !== undefined && joined.extents.length < table.extents.length
    if (!isUseful || this.#firstMovable(holding) > first) {
      this.abandon()
      return false
    }
    for (let offset = 0; offset < target.length; offset += 1) {
      const from = table.blockAt(first + offset)
      const to = toBlockId(target.start + offset)
      cache?.relocate(from, to, offset === 0 ? undefined : toBlockId(to - 1))
      this.#left.push(from)
    }
    invariant(pool.referencesOf(target.start) === 1, 'somebody else has a block of the run')
    holding.table = joined
    this.#numMoved += target.length
    this.#move = undefined
    return true
  }

  /** Position from which on all blocks are used by this sequence alone, and continued by none but its own. */
  #firstMovable({ table }: Holding): number {
    const { pool, cache } = this.#parts
    let position = table.numBlocks
    let next: BlockId | undefined
    const blocks = table.extents.flatMap((extent) => [...blocksOf(extent)])
    while (position > 0) {
      const block = blocks[position - 1]!
      const isShared = pool.referencesOf(block) !== 1
      if (isShared || cache?.isContinuedBeside(block, next) === true) break
      next = block
      position -= 1
    }
    return position
  }
}
