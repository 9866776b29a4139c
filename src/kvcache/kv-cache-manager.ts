import { invariant } from '../core/errors.ts'
import type { TokenList } from '../core/token-list.ts'
import { toBlockId, type BlockId, type SequenceId } from '../core/units.ts'
import type { BlockCopy } from './block-copy.ts'
import { blocksOf } from './block-lists.ts'
import { BlockSwapper } from './block-swapper.ts'
import { BlockPool } from './block-pool.ts'
import { BlockSupply } from './block-supply.ts'
import { BlockTable } from './block-table.ts'
import { Compactor } from './compactor.ts'
import type { Extent } from './extent.ts'
import { newHolding, type Holding } from './holding.ts'
import type { KvCacheSize, Newcomer, PrefixCacheConfig, Returner, Started } from './kv-cache-types.ts'
import type { KvStats } from './kv-stats.ts'
import type { TierHit } from './kv-tiers.ts'
import { noHit, PrefixCache, type PrefixHit } from './prefix-cache.ts'
import { PrefixHasher, type BlockHasher } from './prefix-hasher.ts'
import { PrefixKeys } from './prefix-keys.ts'
import { PromptCounts } from './prompt-counts.ts'
import { ReleasedPath } from './released-path.ts'
import { TailCopies } from './tail-copies.ts'

export type { KvCacheSize, Newcomer, PrefixCacheConfig, Returner, Started } from './kv-cache-types.ts'

const noExtents: readonly Extent[] = []

/**
 * What the scheduler talks to: which sequence holds which blocks, and which blocks hold the beginning of a new one.
 * It decides nothing about who deserves them, and running out is an answer, not an error. Where blocks come from is
 * `BlockPool`'s business, what is found in them `PrefixCache`'s.
 */
export class KvCacheManager {
  readonly blockSize: number
  /** Undefined where there are no tiers below the pool. */
  readonly swapper: BlockSwapper | undefined
  readonly #pool: BlockPool
  readonly #cache: PrefixCache | undefined
  readonly #hasher: BlockHasher | undefined
  readonly #supply: BlockSupply
  readonly #compactor: Compactor
  readonly #prompts: PromptCounts
  readonly #tails: TailCopies | undefined
  readonly #holdings = new Map<SequenceId, Holding>()
  #step = 0

  /** Without `prefixCache` nothing is kept beyond the sequence that computed it. */
  constructor({ numBlocks, blockSize }: KvCacheSize, prefixCache?: PrefixCacheConfig) {
    invariant(blockSize > 0 && (blockSize & (blockSize - 1)) === 0, `a block of ${blockSize} tokens`)
    this.blockSize = blockSize
    this.#pool = new BlockPool(numBlocks)
    this.#hasher = prefixCache && (prefixCache.hasher ?? new PrefixHasher(prefixCache.seed))
    this.#cache =
      prefixCache && new PrefixCache(this.#pool, blockSize, prefixCache.eviction, prefixCache.mostSeenKeys)
    const parts = { pool: this.#pool, cache: this.#cache, blockSize }
    this.swapper = this.#swapperOf(prefixCache)
    this.#supply = new BlockSupply({ ...parts, swapper: this.swapper })
    this.#compactor = new Compactor(parts)
    this.#prompts = new PromptCounts(blockSize, this.#cache)
    this.#tails = this.#cache && new TailCopies(this.#cache, blockSize)
  }

  get numBlocks(): number {
    return this.#pool.numBlocks
  }

  /** Blocks that can be had at once: free ones, and cached ones, which nobody uses. */
  get numAvailableBlocks(): number {
    return this.#supply.numAvailable
  }

  get numCachedBlocks(): number {
    return this.#pool.numCachedBlocks
  }

  /** Cached ones that are worth more for a time: see `ReleasedPath`. */
  get numRaisedBlocks(): number {
    return this.#cache?.numRaised ?? 0
  }

  /** Blocks with nothing in them. */
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

  /** Share of the pool that sequences hold, 0 to 1. */
  get usage(): number {
    return 1 - this.numAvailableBlocks / this.#pool.numBlocks
  }

  /** Sequences that hold blocks. */
  get numSequences(): number {
    return this.#holdings.size
  }

  /** Bytes of bookkeeping for the whole pool. */
  get numBookkeepingBytes(): number {
    return this.#pool.numBytes + (this.#cache?.numBytes ?? 0)
  }

  get stats(): KvStats {
    let numExtents = 0
    let numTableBlocks = 0
    for (const { table } of this.#holdings.values()) {
      numExtents += table.extents.length
      numTableBlocks += table.numBlocks
    }
    // Spread last: names added behind a spread cost a microsecond each.
    return {
      numCopiedBlocks: this.#tails?.numCopied ?? 0,
      numCompactedBlocks: this.#compactor.numMovedBlocks,
      numEvictedForRoom: this.#supply.numEvictedForRoom,
      numEvictedForOrder: this.#supply.numEvictedForOrder,
      numFreeBlocks: this.#pool.numFreeBlocks,
      numCachedBlocks: this.#pool.numCachedBlocks,
      numOwnedBlocks: this.numBlocks - this.numAvailableBlocks,
      numSequences: this.#holdings.size,
      numExtents,
      numTableBlocks,
      ...this.#prompts.counts,
    }
  }

  /**
   * What finds a sequence's beginning; undefined without a prefix cache. Sequences of different namespaces have
   * nothing in common.
   */
  createKeys(namespace: string, tokens: TokenList): PrefixKeys | undefined {
    return this.#hasher && new PrefixKeys(this.#hasher, this.blockSize, namespace, tokens)
  }

  /** The longest beginning of the sequence that is in the pool, of at most `maxTokens` tokens. */
  findPrefix(keys: PrefixKeys | undefined, maxTokens: number): PrefixHit {
    if (this.#cache === undefined || keys === undefined) return noHit
    return this.#cache.find(keys, maxTokens)
  }

  /** Whether a newcomer of `numTokens` tokens with this hit would get its blocks, and leave `numSpareBlocks`. */
  canStart(hit: PrefixHit, numTokens: number, numSpareBlocks = 0): boolean {
    const numNew = Math.ceil(numTokens / this.blockSize) - hit.numBlocks
    return numNew + numSpareBlocks <= this.numAvailableBlocks - (this.#cache?.numCachedOf(hit) ?? 0)
  }

  /**
   * Gives a newcomer blocks for all its tokens, shared ones first. Undefined, and nothing changed, when there are too
   * few. The hit must be of this moment.
   */
  start(newcomer: Newcomer, hit: PrefixHit): Started | undefined {
    const { id, keys, numTokens, retention } = newcomer
    invariant(!this.#holdings.has(id), `sequence ${id} starts twice`)
    if (!this.canStart(hit, numTokens)) return undefined
    const table = new BlockTable()
    const holding: Holding = {
      table,
      keys,
      retention,
      numInserted: hit.numBlocks,
      numFull: hit.numBlocks,
    }
    this.#holdings.set(id, holding)
    if (hit.numBlocks > 0) {
      const shared = this.#cache!.extentsOf(hit)
      this.#cache!.use(shared, newcomer.isReturning !== true)
      table.append(shared)
    }
    const numNew = Math.ceil(numTokens / this.blockSize) - hit.numBlocks
    const isLast = numNew === this.numAvailableBlocks
    const copied = this.#tails?.take(table, hit, isLast) ?? 'none'
    invariant(this.grow(id, numTokens, newcomer.maxTokens), `sequence ${id} got too few blocks`)
    const numFound = copied === 'none' ? hit.numBlocks * this.blockSize : hit.numTokens
    this.#prompts.note(newcomer, numFound)
    this.swapper?.arrivals.release(id)
    if (copied !== 'copy') return { numTokens: numFound, copy: undefined }
    const { block: from, numTokens: numCopied } = hit.tail!
    return { numTokens: numFound, copy: { from, to: table.blockAt(hit.numBlocks), numTokens: numCopied } }
  }

  /**
   * Makes `start` cost nothing that would be missed, where there are tiers: false while what has to go is still being
   * written out. Ask again, and look for the hit again, when a transfer is done.
   */
  prepareStart(hit: PrefixHit, numTokens: number): boolean {
    return this.#supply.prepareRoom(hit, Math.ceil(numTokens / this.blockSize) - hit.numBlocks)
  }

  /**
   * Begins to bring back what tiers have of a sequence beyond a hit, where that is quicker than to compute it.
   * `waits`: room for it is still being made. Until `start` or `free` it stays.
   */
  bringBack(sequence: Returner, hit: PrefixHit): 'nothing' | 'waits' | 'begun' {
    const wanted = this.#locate(sequence, hit)
    if (wanted === undefined) return 'nothing'
    if (!this.#supply.prepareRoom(hit, wanted.numBlocks)) return 'waits'
    // Making room may have cost tiers some of it.
    const found = this.#locate(sequence, hit)
    if (found === undefined) return 'nothing'
    const { id, keys, reason } = sequence
    return this.swapper!.arrivals.begin({ id, keys: keys!, reason }, hit, found) ? 'begun' : 'nothing'
  }

  /** Whether there is something for `bringBack` to do. */
  isBelow(sequence: Returner, hit: PrefixHit): boolean {
    return this.#locate(sequence, hit) !== undefined
  }

  #locate({ id, keys, maxTokens }: Returner, hit: PrefixHit): TierHit | undefined {
    if (keys === undefined || this.swapper?.arrivals.has(id)) return undefined
    return this.swapper?.locate(keys, hit, maxTokens)
  }

  /** Tokens the sequence's blocks can hold; 0 when it has none. */
  capacityOf(sequenceId: SequenceId): number {
    return (this.#holdings.get(sequenceId)?.table.numBlocks ?? 0) * this.blockSize
  }

  /** Blocks that `grow` may take beyond what it is asked for. */
  get mostBlocksAhead(): number {
    return this.#supply.mostAhead
  }

  /** Blocks to allocate before the sequence can hold `numTokens` tokens in all. */
  numBlocksToGrow(sequenceId: SequenceId, numTokens: number): number {
    const held = this.#holdings.get(sequenceId)?.table.numBlocks ?? 0
    return Math.max(0, Math.ceil(numTokens / this.blockSize) - held)
  }

  /** Whether `grow` would succeed and leave `numSpareBlocks` to be had. */
  canGrow(sequenceId: SequenceId, numTokens: number, numSpareBlocks = 0): boolean {
    return this.numBlocksToGrow(sequenceId, numTokens) + numSpareBlocks <= this.numAvailableBlocks
  }

  /**
   * Makes room for `numTokens` tokens in all. False, and nothing changed, when blocks run out. `maxTokens`: how long
   * the sequence may become, so that new blocks are placed where they can grow.
   */
  grow(sequenceId: SequenceId, numTokens: number, maxTokens = numTokens): boolean {
    const numBlocks = this.numBlocksToGrow(sequenceId, numTokens)
    if (numBlocks === 0) return true
    // Nothing that is cached goes, and nobody waits, for the sake of order.
    if (numBlocks > this.#pool.numFreeBlocks) this.#compactor.abandon()
    if (numBlocks > this.numAvailableBlocks) return false
    const holding = this.#holdings.get(sequenceId) ?? newHolding()
    const { table } = holding
    table.append(this.#supply.take({ numBlocks, after: table.lastBlock, growth: maxTokens - numTokens }))
    this.#holdings.set(sequenceId, holding)
    return true
  }

  /** The first `numComputed` tokens of the sequence have KV now: full blocks can be found from here on. */
  noteComputed(sequenceId: SequenceId, numComputed: number): void {
    const holding = this.#holdings.get(sequenceId)
    if (holding === undefined) return
    const numFull = Math.floor(numComputed / this.blockSize)
    holding.numFull = numFull
    const { table, keys } = holding
    if (this.#cache === undefined || keys === undefined) return
    for (; holding.numInserted < numFull; holding.numInserted += 1) {
      const index = holding.numInserted
      const own = table.blockAt(index)
      const parent = index === 0 ? -1 : table.blockAt(index - 1)
      const known = this.#cache.insert(own, parent, keys, index)
      if (known === own) continue
      // Two computed the same: one copy is enough, and the tree is made of that one.
      this.#cache.use([{ start: known, length: 1 }])
      table.replace(index, known)
      this.#cache.forget(own)
      this.#letGo(own, index, holding)
    }
  }

  /** Makes the last, partly filled block findable as far as it is filled by the first `numComputed` tokens. */
  noteTail(sequenceId: SequenceId, numComputed: number): void {
    const holding = this.#holdings.get(sequenceId)
    const numTokens = numComputed % this.blockSize
    if (this.#cache === undefined || holding?.keys === undefined || numTokens === 0) return
    const { table, keys } = holding
    const index = (numComputed - numTokens) / this.blockSize
    invariant(holding.numInserted >= index, `sequence ${sequenceId} has a tail behind a gap`)
    const parent = index === 0 ? -1 : table.blockAt(index - 1)
    const tokens = keys.tokens.slice(numComputed - numTokens, numComputed)
    this.#cache.insertTail(table.blockAt(index), parent, keys, tokens)
  }

  /** Gives back all blocks of the sequence; what can be found stays cached. Nothing happens when it has none. */
  free(sequenceId: SequenceId): void {
    this.swapper?.arrivals.release(sequenceId)
    const holding = this.#holdings.get(sequenceId)
    if (holding === undefined) return
    this.#compactor.forget(sequenceId)
    this.#holdings.delete(sequenceId)
    let index = 0
    for (const extent of holding.table.extents) {
      const end = extent.start + extent.length
      if (this.#cache === undefined) this.#pool.release(extent)
      else {
        for (let block = extent.start as number; block < end; block += 1)
          this.#letGo(toBlockId(block), index++, holding)
      }
    }
  }

  /** As `free`, for a sequence that may be continued: undefined when nothing of it is cached. */
  release(sequenceId: SequenceId): ReleasedPath | undefined {
    const table = this.#holdings.get(sequenceId)?.table
    this.free(sequenceId)
    if (this.#cache === undefined || table === undefined) return undefined
    const blocks = table.extents.flatMap((extent) => [...blocksOf(extent)])
    // Behind the last one that can be found there is only room to grow.
    const numKept = blocks.findLastIndex((block) => this.#pool.stateOf(block) === 'cached') + 1
    const release = { step: this.#step, blockSize: this.blockSize }
    return numKept === 0 ? undefined : new ReleasedPath(this.#cache, blocks.slice(0, numKept), release)
  }

  /** As `free`, but nothing that only this sequence used can be found again: its content is in doubt. */
  discard(sequenceId: SequenceId): void {
    const holding = this.#holdings.get(sequenceId)
    if (holding === undefined) return
    const blocks = holding.table.extents.flatMap((extent) => [...blocksOf(extent)])
    // From the end: a block can be forgotten once nothing continues it.
    for (const block of blocks.toReversed()) {
      this.swapper?.forget(block)
      this.#cache?.forget(block)
    }
    this.free(sequenceId)
  }

  /**
   * Brings blocks of sequences in several extents together, some at a time: returns what the next step is to copy
   * before it computes. To be called before that step is planned, and only when nobody waits.
   */
  compact(): readonly BlockCopy[] {
    return this.#compactor.plan(this.#holdings)
  }

  /** Gives up a move of `compact` that is under way, and with it the room it took. False when there was none. */
  abandonCompaction(): boolean {
    return this.#compactor.abandon()
  }

  /** Once a step, when it is over: what it copied from may change again. */
  endStep(): void {
    this.#step += 1
    this.#compactor.endStep()
    this.#tails?.endStep(this.#step)
  }

  /** The sequence's blocks in token order. The array is never changed afterwards. */
  extentsOf(sequenceId: SequenceId): readonly Extent[] {
    return this.#holdings.get(sequenceId)?.table.extents ?? noExtents
  }

  /** @throws {InvariantError} unless every block's reference count equals its uses in block tables and copies. */
  checkInvariants(): void {
    this.#pool.checkInvariants()
    this.#cache?.checkInvariants()
    const uses = new Int32Array(this.numBlocks)
    for (const block of this.#tails?.sources() ?? []) uses[block]! += 1
    for (const block of this.swapper?.heldBlocks() ?? []) uses[block]! += 1
    this.swapper?.checkInvariants()
    for (const block of this.#compactor.heldBlocks()) uses[block]! += 1
    for (const { table } of this.#holdings.values()) {
      let numBlocks = 0
      for (const extent of table.extents) {
        numBlocks += extent.length
        for (const block of blocksOf(extent)) uses[block]! += 1
      }
      invariant(numBlocks === table.numBlocks, `a table of ${table.numBlocks} blocks lists ${numBlocks}`)
    }
    this.#pool.checkReferences(uses)
  }

  #swapperOf(prefixCache: PrefixCacheConfig | undefined): BlockSwapper | undefined {
    if (this.#cache === undefined || prefixCache?.swapper === undefined) return undefined
    const parts = { pool: this.#pool, cache: this.#cache, blockSize: this.blockSize, now: () => this.#step }
    return new BlockSwapper({ ...prefixCache.swapper, ...parts })
  }

  #letGo(block: BlockId, index: number, { retention }: Holding): void {
    this.#cache!.letGo(block, { step: this.#step, position: index * this.blockSize, retention })
  }
}
