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
 * `free`: nothing in it. `owned`: one reference or more. `cached`: no references, but its content is of use to whoever
 * finds it. States to come, as of blocks on their way to another tier, are further negative reference counts.
 */
export type BlockState = 'free' | 'owned' | 'cached'

/** The reference count of a cached block. */
const cached = -1

/** Says of a block that has lost its last reference whether its content is to be kept. */
export type KeepBlock = (block: BlockId) => boolean

const keepNothing: KeepBlock = () => false

/**
 * Owns the blocks of one pool, and the state of each. Hands out extents, as few and as long as it can. It knows no
 * sequences and no content; `KvCacheManager` and `PrefixCache` do. Invariant: free + owned + cached = numBlocks, and
 * free runs are maximal. Every operation costs one step per block touched plus O(log n) per run touched.
 */
export class BlockPool {
  readonly numBlocks: number
  readonly #references: Int32Array
  readonly #free: FreeRuns
  #numFree: number
  #numCached = 0

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

  get numCachedBlocks(): number {
    return this.#numCached
  }

  get numBytes(): number {
    return this.#references.byteLength + this.#free.numBytes
  }

  /** Number of maximal runs of free blocks: 1 is not fragmented at all. */
  get numFreeRuns(): number {
    return this.#free.numRuns
  }

  get longestFreeRun(): number {
    return this.#free.longest
  }

  /** Free blocks in a row right behind a block that is not free. */
  numFreeBehind(block: BlockId): number {
    const next = block + 1
    return next < this.numBlocks && this.#references[next] === 0 ? this.#free.lengthAt(next) : 0
  }

  referencesOf(block: BlockId): number {
    return Math.max(0, this.#references[block]!)
  }

  stateOf(block: BlockId): BlockState {
    const references = this.#references[block]!
    if (references === cached) return 'cached'
    return references > 0 ? 'owned' : 'free'
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

  /** Makes the free blocks of the extent owned. */
  take(extent: Extent): void {
    for (let block = extent.start as number; block < extent.start + extent.length; block += 1) {
      invariant(this.#references[block] === 0, `block ${block} is taken and is not free`)
      let run = block
      while (run > 0 && this.#isFreeBefore(run)) run -= 1
      this.#takeFrom(run, block, 1)
    }
  }

  /** One more user of every block of the extent, which are owned or cached, and owned afterwards. */
  retain(extent: Extent): void {
    for (let block = extent.start as number; block < extent.start + extent.length; block += 1) {
      const references = this.#references[block]!
      invariant(references !== 0, `block ${block} is shared while it is free`)
      if (references === cached) this.#numCached -= 1
      this.#references[block] = references === cached ? 1 : references + 1
    }
  }

  /**
   * One user less of every block of the extent. Blocks without users are cached where `keep` says so; else they are
   * free and join their free neighbours.
   */
  release(extent: Extent, keep: KeepBlock = keepNothing): void {
    const end = extent.start + extent.length
    let runStart = -1
    for (let block = extent.start as number; block < end; block += 1) {
      const isFree = this.#dropReference(block, keep)
      if (isFree && runStart < 0) runStart = block
      if (!isFree && runStart >= 0) {
        this.#addFree(runStart, block - runStart)
        runStart = -1
      }
    }
    if (runStart >= 0) this.#addFree(runStart, end - runStart)
  }

  /** One user less of a block. With the last one it is cached, where it is to be kept, or else free. */
  releaseOne(block: BlockId, isKept: boolean): void {
    const references = this.#references[block]! - 1
    invariant(references >= 0, `block ${block} is freed while nobody uses it`)
    this.#references[block] = references
    if (references > 0) return
    if (isKept) {
      this.#references[block] = cached
      this.#numCached += 1
    } else this.#addFree(block, 1)
  }

  /** Makes a cached block free. */
  evict(block: BlockId): void {
    invariant(this.#references[block] === cached, `block ${block} is evicted and is not cached`)
    this.#references[block] = 0
    this.#numCached -= 1
    this.#addFree(block, 1)
  }

  /** Compares every index with the reference counts. For tests: takes time in proportion to the pool. */
  checkInvariants(): void {
    const runs = new Map<number, number>()
    let numFree = 0
    let numCached = 0
    for (let block = 0; block < this.numBlocks; block += 1) {
      invariant(this.#references[block]! >= cached, `block ${block} is in no known state`)
      if (this.#references[block] === cached) numCached += 1
      if (this.#references[block] !== 0) continue
      const start = block
      while (block + 1 < this.numBlocks && this.#references[block + 1] === 0) block += 1
      runs.set(start, block + 1 - start)
      numFree += block + 1 - start
    }
    invariant(numCached === this.#numCached, `${this.#numCached} blocks counted as cached, ${numCached} are`)
    invariant(numFree === this.#numFree, `${this.#numFree} blocks counted as free, ${numFree} are`)
    this.#free.checkInvariants(runs)
  }

  /** @throws {InvariantError} unless block b has `uses[b]` references. */
  checkReferences(uses: ArrayLike<number>): void {
    for (let block = 0; block < this.numBlocks; block += 1) {
      const references = this.referencesOf(toBlockId(block))
      invariant(
        references === uses[block],
        `block ${block} has ${references} references and ${uses[block]} uses`,
      )
    }
  }

  /** True when the block is free now; its neighbours do not know it yet. */
  #dropReference(block: number, keep: KeepBlock): boolean {
    const references = this.#references[block]! - 1
    invariant(references >= 0, `block ${block} is freed while nobody uses it`)
    const isCached = references === 0 && keep(toBlockId(block))
    if (isCached) this.#numCached += 1
    this.#references[block] = isCached ? cached : references
    return references === 0 && !isCached
  }

  #takeBehind(after: BlockId, wanted: number, extents: Extent[]): number {
    const start = after + 1
    const length = Math.min(wanted, this.numFreeBehind(after))
    if (length === 0) return 0
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
