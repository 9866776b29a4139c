import { invariant } from '../core/errors.ts'
import { toBlockId, type BlockId } from '../core/units.ts'
import type { Extent } from './extent.ts'
import { FreeRuns } from './free-runs.ts'

/** What to allocate. */
export interface BlockRequest {
  readonly numBlocks: number
  /** The last block of whoever asks: the room right behind it is taken first. */
  readonly after?: BlockId | undefined
  /** Blocks the asker will probably want behind these later; where it is placed leaves room for them if it can. */
  readonly expectedGrowth?: number
}

/**
 * Owns the blocks of one pool: each is free (no references) or owned (one or more). Hands out extents, as few and
 * as long as it can. It knows no sequences; `KvCacheManager` does. Invariant: free + owned = numBlocks, and free
 * runs are maximal. Every operation costs one step per block touched plus O(log n) per run touched.
 */
export class BlockPool {
  readonly numBlocks: number
  readonly #references: Int32Array
  readonly #free: FreeRuns
  #numFree: number

  constructor(numBlocks: number) {
    invariant(Number.isSafeInteger(numBlocks) && numBlocks > 0, `a pool of ${numBlocks} blocks`)
    this.numBlocks = numBlocks
    this.#references = new Int32Array(numBlocks)
    this.#free = new FreeRuns(numBlocks)
    this.#free.add(0, numBlocks)
    this.#numFree = numBlocks
  }

  get numFreeBlocks(): number {
    return this.#numFree
  }

  /** Number of maximal runs of free blocks: 1 is not fragmented at all. */
  get numFreeRuns(): number {
    return this.#free.numRuns
  }

  get longestFreeRun(): number {
    return this.#free.longest
  }

  referencesOf(block: BlockId): number {
    return this.#references[block]!
  }

  /**
   * Extents of `numBlocks` blocks together, each with one reference; undefined, and nothing changed, when fewer
   * are free. Order: behind `after`, then the best-fitting run, then the longest runs.
   */
  allocate(request: BlockRequest): Extent[] | undefined {
    if (request.numBlocks > this.#numFree) return undefined
    const extents: Extent[] = []
    let wanted = request.numBlocks
    if (wanted > 0 && request.after !== undefined) wanted -= this.#takeBehind(request.after, wanted, extents)
    while (wanted > 0) wanted -= this.#takeRun(wanted, request.expectedGrowth ?? 0, extents)
    return extents
  }

  /** One more user of every block of the extent. */
  retain(extent: Extent): void {
    for (let block = extent.start as number; block < extent.start + extent.length; block += 1) {
      invariant(this.#references[block]! > 0, `block ${block} is shared while it is free`)
      this.#references[block]! += 1
    }
  }

  /** One user less of every block of the extent; blocks without users are free and join their free neighbours. */
  release(extent: Extent): void {
    const end = extent.start + extent.length
    let runStart = -1
    for (let block = extent.start as number; block < end; block += 1) {
      const references = this.#references[block]! - 1
      invariant(references >= 0, `block ${block} is freed while it is free`)
      this.#references[block] = references
      if (references === 0 && runStart < 0) runStart = block
      if (references > 0 && runStart >= 0) {
        this.#addFree(runStart, block - runStart)
        runStart = -1
      }
    }
    if (runStart >= 0) this.#addFree(runStart, end - runStart)
  }

  /** Compares every index with the reference counts. For tests: takes time in proportion to the pool. */
  checkInvariants(): void {
    const runs = new Map<number, number>()
    let numFree = 0
    for (let block = 0; block < this.numBlocks; block += 1) {
      invariant(this.#references[block]! >= 0, `block ${block} has a negative reference count`)
      if (this.#references[block] !== 0) continue
      const start = block
      while (block < this.numBlocks && this.#references[block] === 0) block += 1
      runs.set(start, block - start)
      numFree += block - start
    }
    invariant(numFree === this.#numFree, `${this.#numFree} blocks counted as free, ${numFree} are`)
    this.#free.checkInvariants(runs)
  }

  /** @throws {InvariantError} unless block b has `uses[b]` references. */
  checkReferences(uses: ArrayLike<number>): void {
    for (let block = 0; block < this.numBlocks; block += 1) {
      const references = this.#references[block]!
      invariant(
        references === uses[block],
        `block ${block} has ${references} references and ${uses[block]} uses`,
      )
    }
  }

  #takeBehind(after: BlockId, wanted: number, extents: Extent[]): number {
    const start = after + 1
    if (start >= this.numBlocks || this.#references[start] !== 0) return 0
    const length = Math.min(wanted, this.#free.lengthAt(start))
    this.#takeFrom(start, start, length)
    extents.push({ start: toBlockId(start), length })
    return length
  }

  #takeRun(wanted: number, expectedGrowth: number, extents: Extent[]): number {
    const longest = this.#free.longest
    // Room in front of and behind it: the owner in front of this run may grow as well.
    const run = this.#free.bestFit(Math.min(wanted + 2 * expectedGrowth, longest))
    const runLength = this.#free.lengthAt(run)
    const length = Math.min(wanted, runLength)
    const offset = run === 0 ? 0 : Math.min(expectedGrowth, (runLength - length) >> 1)
    this.#takeFrom(run, run + offset, length)
    extents.push({ start: toBlockId(run + offset), length })
    return length
  }

  /** Takes [start, start + length) out of the free run at `run`, which must contain it. */
  #takeFrom(run: number, start: number, length: number): void {
    const runEnd = run + this.#free.lengthAt(run)
    this.#free.remove(run)
    if (start > run) this.#free.add(run, start - run)
    if (start + length < runEnd) this.#free.add(start + length, runEnd - start - length)
    this.#references.fill(1, start, start + length)
    this.#numFree -= length
  }

  #addFree(start: number, length: number): void {
    this.#numFree += length
    let runStart = start
    let runEnd = start + length
    if (start > 0 && this.#isFreeBefore(start)) {
      runStart -= this.#free.lengthAt(start - 1)
      this.#free.remove(runStart)
    }
    if (runEnd < this.numBlocks && this.#references[runEnd] === 0) {
      const length = this.#free.lengthAt(runEnd)
      this.#free.remove(runEnd)
      runEnd += length
    }
    this.#free.add(runStart, runEnd - runStart)
  }

  #isFreeBefore(block: number): boolean {
    return this.#references[block - 1] === 0
  }
}
