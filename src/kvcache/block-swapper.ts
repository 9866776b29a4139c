/**
 * Moves blocks between the pool and the tiers below it: writes out what will have to go, brings back what comes next,
 * and sees to it that a block on its way is neither freed nor given away. It decides by predicted time whether moving
 * a block is worth it. What is to be moved comes out as data (`takeTransfers`), what came of it goes in (`finish`).
 * Laws: blocks of a transfer, and all before them, are held by it; what a tier has is never written again.
 */
import { toBlockId, type BlockId, type SequenceId } from '../core/units.ts'
import { BlockArrivals } from './block-arrivals.ts'
import { toExtents } from './block-lists.ts'
import type { BlockPool } from './block-pool.ts'
import { slotPriority, type KvTiers, type TierHit } from './kv-tiers.ts'
import type { PrefixCache, PrefixHit } from './prefix-cache.ts'
import { wordsPerKey } from './prefix-hasher.ts'
import type { PrefixKeys } from './prefix-keys.ts'
import { SwapCounts, type SwapStats } from './swap-stats.ts'
import {
  noSlot,
  type Transfer,
  type TransferContent,
  type TransferOutcome,
  type TransferReason,
} from './transfer.ts'

export interface SwapperConfig {
  readonly tiers: KvTiers
  /** The tier that outlives the process: whatever is cached is written there. Undefined: none does. */
  readonly keptTier: number | undefined
}

export interface SwapperParts extends SwapperConfig {
  readonly pool: BlockPool
  readonly cache: PrefixCache
  readonly blockSize: number
  /** The step that counts as now. */
  readonly now: () => number
}

/** Predicts how long it takes to compute tokens at a position again; undefined while nobody knows. */
export type RecomputeTime = (position: number, numTokens: number) => number | undefined

interface Leaving {
  readonly transfer: Transfer
  /** The blocks on their way and all before them. */
  readonly path: readonly BlockId[]
  readonly words: Int32Array
}

/** Blocks of one transfer out: more would keep too much from others at once. */
const mostBlocksOut = 64
const leastBlocksOut = 16
/** Transfers under way at once for the sake of what outlives the process. */
const mostKeeping = 2
/** Blocks for eviction that are looked at for one that may go at once. */
const mostLookedAt = 32

export class BlockSwapper {
  /** To be set by whoever knows; without it, moving always counts as worth it. */
  recomputeTime: RecomputeTime = () => undefined
  readonly #parts: SwapperParts
  readonly #counts: SwapCounts
  readonly #leaving = new Map<number, Leaving>()
  /** Blocks that come back. */
  readonly arrivals: BlockArrivals
  #transfers: Transfer[] = []
  /** Cached blocks that may have to be written so that they outlive the process. */
  #unkept: BlockId[] = []
  #nextTransfer = 1

  constructor(parts: SwapperParts) {
    this.#parts = parts
    this.#counts = new SwapCounts(parts.tiers.names)
    this.arrivals = new BlockArrivals(parts, this.#counts, (content) => this.#issue(content))
    if (parts.keptTier !== undefined) parts.cache.onCached = (block) => this.#unkept.push(block)
  }

  get stats(): SwapStats {
    return this.#counts.snapshot(this.#parts.tiers.fills)
  }

  /** Transfers whose outcome is not known yet. */
  get numUnderWay(): number {
    return this.#leaving.size + this.arrivals.numUnderWay
  }

  /** Blocks that transfers hold, each as often as it is held. */
  *heldBlocks(): Generator<BlockId> {
    for (const { path } of this.#leaving.values()) yield* path
    yield* this.arrivals.heldBlocks()
  }

  /** A step could not begin for so long because of moves, or, with `isCounted`, for so much longer. */
  noteWait(micros: number, isCounted: boolean): void {
    if (!isCounted) this.#counts.numWaitedSteps += 1
    this.#counts.waitedMicros += micros
  }

  /** Hands out each transfer once: they are to be carried out from now on, in any order. */
  takeTransfers(): readonly Transfer[] {
    const transfers = this.#transfers
    if (transfers.length > 0) this.#transfers = []
    return transfers
  }

  /** Writes out what is cached, a few transfers at a time, where it shall outlive the process. */
  keepAll(): void {
    const { cache, pool, tiers, keptTier } = this.#parts
    if (keptTier === undefined) return
    const directory = tiers.directory(keptTier)
    while (this.#unkept.length > 0 && this.#leaving.size < mostKeeping && !directory.isReadOnly) {
      const block = this.#unkept.pop()!
      const at = cache.keyOffset(block)
      if (at === undefined || pool.stateOf(block) !== 'cached' || directory.find(cache.words, at) >= 0)
        continue
      this.#writeOut(block, mostBlocksOut, 'keep')
    }
  }

  /** In every step of those that may grow: sees to it that some blocks can be had at once. */
  tidy(): void {
    if (this.#leaving.size > 0 || this.#parts.tiers.isReadOnly) return
    const { pool, cache } = this.#parts
    const wanted = Math.min(mostBlocksOut, Math.ceil(pool.numBlocks / 16))
    let numReady = pool.numFreeBlocks
    if (numReady >= wanted || pool.numCachedBlocks === 0) return
    for (const block of [...cache.evictable(mostLookedAt)]) {
      if (this.#mayGo(block)) numReady += this.#numReadyAbove(block, wanted - numReady)
      else numReady += this.#writeOut(block, wanted - numReady, 'room')
      if (numReady >= wanted) return
    }
  }

  /**
   * Frees a cached block, rather one that a tier has. False when there is none, or, with `isGentle`, when it would
   * cost something.
   */
  evict(isGentle = false): boolean {
    const { cache } = this.#parts
    for (const block of cache.evictable(mostLookedAt)) {
      if (!this.#mayGo(block)) continue
      this.#drop(block)
      return true
    }
    const first = cache.firstEvictable
    if (first === undefined || isGentle) return false
    this.#counts.numHurried += 1
    cache.evictBlock(first)
    return true
  }

  /**
   * Frees blocks until `count` are free, writing out first what is worth it. False when that is still under way: ask
   * again when a transfer is done. Nothing of `hit` is freed.
   */
  prepareRoom(hit: PrefixHit, count: number): boolean {
    const { pool, cache } = this.#parts
    if (pool.numFreeBlocks >= count) return true
    const path = hit.numBlocks > 0 ? cache.pathTo(toBlockId(hit.lastBlock)) : []
    cache.hold(path)
    while (pool.numFreeBlocks < count && this.#makeRoom(count));
    cache.unhold(path)
    return pool.numFreeBlocks >= count
  }

  /** What tiers have of a sequence beyond a hit in the pool, if reading it is worth it. */
  locate(keys: PrefixKeys, hit: PrefixHit, maxTokens: number): TierHit | undefined {
    const { tiers, blockSize } = this.#parts
    const found = tiers.locate(keys, hit.numBlocks, Math.floor(maxTokens / blockSize))
    if (found.numBlocks === 0) return undefined
    const numTokens = (hit.numBlocks + found.numBlocks) * blockSize - hit.numTokens
    const recompute = this.recomputeTime(hit.numTokens, numTokens)
    return recompute === undefined || tiers.readMicros(found) < recompute ? found : undefined
  }

  /** What it costs to write blocks out and to read them back, in microseconds; Infinity when no tier takes any. */
  reloadMicros(numBlocks: number): number {
    const { tiers } = this.#parts
    return tiers.isReadOnly ? Infinity : tiers.roundTripMicros(numBlocks)
  }

  /** What came of a transfer. Returns the sequence that waited for it. */
  finish(outcome: TransferOutcome): SequenceId | undefined {
    const leaving = this.#leaving.get(outcome.id)
    if (leaving !== undefined) {
      this.#finishLeaving(leaving, outcome)
      return undefined
    }
    return this.arrivals.finish(outcome)
  }

  /** The content of a block is in doubt: no tier may have it. */
  forget(block: BlockId): void {
    const { cache, tiers } = this.#parts
    const at = cache.keyOffset(block)
    if (at !== undefined) tiers.forget(cache.words, at)
  }

  /** @throws {InvariantError} when transfers and slots disagree. */
  checkInvariants(): void {
    const leaving = [...this.#leaving.values()].map(({ transfer }) => transfer)
    this.#parts.tiers.checkInvariants([...this.arrivals.underWay(), ...leaving])
  }

  /** How many blocks up from `last` could go one after the other, at most `most`; one at least. */
  #numReadyAbove(last: BlockId, most: number): number {
    const { cache, pool, tiers } = this.#parts
    let count = 1
    for (
      let block = cache.parentOf(last);
      block !== undefined && count < most;
      block = cache.parentOf(block)
    ) {
      if (pool.stateOf(block) !== 'cached' || !tiers.has(cache.words, cache.keyOffset(block)!)) break
      count += 1
    }
    return count
  }

  /** Takes one step towards `count` free blocks. False when there is nothing to be done at once. */
  #makeRoom(count: number): boolean {
    const { cache, pool } = this.#parts
    const wanted = count - pool.numFreeBlocks
    let numLeaving = 0
    for (const { transfer } of this.#leaving.values()) numLeaving += transfer.numBlocks
    const candidates = [...cache.evictable(mostLookedAt)]
    // First what a full tier has: writing something else would cost the tier just that.
    const ready = candidates.find((block) => this.#mayGo(block))
    if (ready !== undefined) {
      this.#drop(ready)
      return true
    }
    for (const block of candidates) {
      if (numLeaving >= wanted) return false
      numLeaving += this.#writeOut(block, wanted - numLeaving, 'room')
      if (pool.stateOf(block) === 'owned') continue
      // No tier has room for it: waiting would not help.
      this.#counts.numHurried += 1
      cache.evictBlock(block)
      return true
    }
    return false
  }

  /** Whether evicting the block costs nothing, or less than moving it. */
  #mayGo(block: BlockId): boolean {
    const { cache, tiers } = this.#parts
    const at = cache.keyOffset(block)
    if (at === undefined || tiers.isReadOnly || tiers.has(cache.words, at)) return true
    // Computing costs more with every position: what is worth it at the first one is worth it anywhere.
    return !this.#isWorthMoving(0, 1) && !this.#isWorthMoving(cache.pathTo(block).length - 1, 1)
  }

  /** Moving a block costs its share of a usual transfer. */
  #isWorthMoving(depth: number, numBlocks: number): boolean {
    const { tiers, blockSize } = this.#parts
    const recompute = this.recomputeTime(depth * blockSize, numBlocks * blockSize)
    if (recompute === undefined) return true
    return (tiers.roundTripMicros(mostBlocksOut) * numBlocks) / mostBlocksOut < recompute
  }

  #drop(block: BlockId): void {
    const { cache, tiers } = this.#parts
    const at = cache.keyOffset(block)
    if (at === undefined) this.#counts.numPartial += 1
    else if (tiers.has(cache.words, at)) this.#counts.numClean += 1
    else this.#counts.numCheap += 1
    cache.evictBlock(block)
  }

  /** Begins to write out a cached block, and those before it that are in no tier. Returns how many. */
  #writeOut(last: BlockId, wanted: number, reason: TransferReason): number {
    const { cache, tiers, pool } = this.#parts
    const path = cache.pathTo(last)
    let start = path.length
    const isDirty = (block: BlockId) =>
      pool.stateOf(block) === 'cached' && !tiers.has(cache.words, cache.keyOffset(block)!)
    while (start > 0 && isDirty(path[start - 1]!)) start -= 1
    // Those before them stay as well, or these would be of no use.
    for (let depth = 0; depth < start; depth += 1) {
      tiers.touch(cache.words, cache.keyOffset(path[depth]!)!, slotPriority(this.#parts.now(), depth))
    }
    // More than is wanted: a part of a sequence is of no use without what comes before it.
    const most = Math.min(mostBlocksOut, Math.max(4 * wanted, leastBlocksOut))
    const from = reason === 'keep' ? start : Math.max(start, path.length - most)
    const slots = tiers.allocate(Math.min(path.length - from, mostBlocksOut))
    const numBlocks = Math.max(...slots.map((row) => row.filter((slot) => slot !== noSlot).length))
    if (numBlocks === 0) return 0
    const moved = path.slice(from, from + numBlocks)
    // The next part of the sequence; what comes before it is pushed when this is done.
    if (from + numBlocks < path.length && reason === 'keep') this.#unkept.push(last)
    const words = new Int32Array(numBlocks * wordsPerKey)
    moved.forEach((block, index) => {
      const at = cache.keyOffset(block)!
      words.set(cache.words.subarray(at, at + wordsPerKey), index * wordsPerKey)
    })
    const held = path.slice(0, from + numBlocks)
    cache.hold(held)
    const seals = moved.map((_, index) => words[index * wordsPerKey]!)
    const transfer = this.#issue({
      kind: 'out',
      reason,
      extents: toExtents(moved),
      seals,
      slots: slots.map((row) => row.slice(0, numBlocks)),
    })
    this.#leaving.set(transfer.id, { transfer, path: held, words })
    return numBlocks
  }

  #issue(content: TransferContent): Transfer {
    const transfer = { id: this.#nextTransfer++, numBlocks: content.seals.length, ...content }
    this.#transfers.push(transfer)
    return transfer
  }

  #finishLeaving({ transfer, path, words }: Leaving, outcome: TransferOutcome): void {
    const { cache, tiers, keptTier } = this.#parts
    this.#leaving.delete(transfer.id)
    const firstDepth = path.length - transfer.numBlocks
    tiers.noteWritten(transfer.slots, words, wordsPerKey, outcome, (block) =>
      slotPriority(this.#parts.now(), firstDepth + block),
    )
    this.#counts.noteMoved(transfer, outcome, tiers.bytesPerBlock)
    cache.unhold(path)
    // Until now nobody could write what comes before it.
    if (keptTier !== undefined && firstDepth > 0) this.#unkept.push(path[firstDepth - 1]!)
  }
}
