import { invariant } from '../core/errors.ts'
import { toBlockId, type BlockId } from '../core/units.ts'
import { BlockIndex } from './block-index.ts'
import type { BlockPool } from './block-pool.ts'
import { BlockTree, root } from './block-tree.ts'
import type { EvictionPolicy } from './eviction/policy.ts'
import { EvictionQueue } from './eviction-queue.ts'
import type { Extent } from './extent.ts'
import { wordsPerKey } from './prefix-hasher.ts'
import type { PrefixKeys } from './prefix-keys.ts'
import { SeenKeys } from './seen-keys.ts'
import { TailBlocks, type TailParent } from './tail-blocks.ts'

/** What a pool holds of the beginning of a sequence. */
export interface PrefixHit {
  /** Tokens whose KV is there, those of the tail included. */
  readonly numTokens: number
  /** Full blocks, to be shared. */
  readonly numBlocks: number
  /** The last one of them; -1 when there is none. */
  readonly lastBlock: number
  /** Block whose first tokens come next; to be copied, or gone on with. */
  readonly tail: { readonly block: BlockId; readonly numTokens: number } | undefined
}

export const noHit: PrefixHit = { numTokens: 0, numBlocks: 0, lastBlock: -1, tail: undefined }

/** Who lets go of a block. */
export interface Release {
  readonly step: number
  readonly position: number
  readonly retention: number
}

const mostReuses = 0xffff
/** 32 MB at most, for statistics. */
const mostSeenKeys = 2 ** 22

/**
 * A tree of blocks over their content: full blocks by key, the last and partly filled ones token by token. A block's
 * parent holds what comes before it. Laws: every block of the tree has its parents in it; where a block is owned, so
 * are its parents. So cached blocks can always be evicted, ends first. Typed arrays: 2 million blocks are usual.
 */
export class PrefixCache {
  readonly seen: SeenKeys
  /** Told of every full block that its last user lets go of; not of the end of a `hold`. */
  onCached: ((block: BlockId) => void) | undefined
  readonly #pool: BlockPool
  readonly #policy: EvictionPolicy
  readonly #blockSize: number
  readonly #index: BlockIndex
  readonly #queue: EvictionQueue
  readonly #tails: TailBlocks
  readonly #tree: BlockTree
  readonly #numReuses: Uint16Array
  /** 1 for blocks that are worth more for a time (`raise`). */
  readonly #isRaised: Uint8Array
  #numRaised = 0

  constructor(pool: BlockPool, blockSize: number, policy: EvictionPolicy, mostSeen = mostSeenKeys) {
    const { numBlocks } = pool
    this.#pool = pool
    this.#blockSize = blockSize
    this.#policy = policy
    this.#index = new BlockIndex(numBlocks)
    this.#queue = new EvictionQueue(numBlocks)
    this.#tails = new TailBlocks(Math.max(1024, numBlocks >> 5))
    this.#tree = new BlockTree(numBlocks)
    this.#numReuses = new Uint16Array(numBlocks)
    this.#isRaised = new Uint8Array(numBlocks)
    this.seen = new SeenKeys(mostSeen)
  }

  /** Of the typed arrays; the tails come on top. */
  get numBytes(): number {
    return (
      this.#tree.numBytes +
      this.#numReuses.byteLength +
      this.#isRaised.byteLength +
      this.#index.numBytes +
      this.#queue.numBytes +
      this.seen.numBytes
    )
  }

  /** Cached blocks that are worth more for a time. */
  get numRaised(): number {
    return this.#numRaised
  }

  /** The longest beginning that is there, of at most `maxTokens` tokens. */
  find(keys: PrefixKeys, maxTokens: number): PrefixHit {
    const mostBlocks = Math.min(Math.floor(maxTokens / this.#blockSize), keys.numBlocks)
    let numBlocks = 0
    let lastBlock = root
    let high = mostBlocks
    // Parents are always there: so the blocks that are form a row from the first one on.
    while (numBlocks < high) {
      const middle = (numBlocks + high + 1) >> 1
      const block = this.#findBlock(keys, middle - 1)
      if (block < 0) high = middle - 1
      else {
        numBlocks = middle
        lastBlock = block
      }
    }
    const numTokens = numBlocks * this.#blockSize
    const tail = this.#findTail(keys, numTokens, maxTokens, lastBlock)
    return { numTokens: numTokens + (tail?.numTokens ?? 0), numBlocks, lastBlock, tail }
  }

  /** The full blocks of a hit in token order. */
  extentsOf({ numBlocks, lastBlock }: PrefixHit): Extent[] {
    const reversed: { start: number; length: number }[] = []
    let block = lastBlock
    for (let count = 0; count < numBlocks; count += 1) {
      const last = reversed.at(-1)
      if (last !== undefined && last.start === block + 1) {
        last.start = block
        last.length += 1
      } else reversed.push({ start: block, length: 1 })
      block = this.#tree.parentOf(block)
    }
    return reversed.reverse().map(({ start, length }) => ({ start: toBlockId(start), length }))
  }

  /** How many full blocks of a hit nobody owns: they are evictable no longer once it is used. */
  numCachedOf({ lastBlock }: PrefixHit): number {
    let count = 0
    for (let block = lastBlock; block !== root; block = this.#tree.parentOf(block)) {
      if (this.#pool.stateOf(toBlockId(block)) !== 'cached') break
      count += 1
    }
    return count
  }

  /** Whether a block holds these tokens of its sequence and no more, and nobody uses it: it may be filled on. */
  endsWith(block: BlockId, numTokens: number): boolean {
    const isWhole = this.#tails.tokensOf(block)?.length === numTokens
    return isWhole && !this.#index.has(block) && this.#pool.stateOf(block) === 'cached'
  }

  /** One more user of each block. `counts`: as one who came back for it. */
  use(extents: readonly Extent[], counts = true): void {
    for (const extent of extents) {
      for (let block = extent.start as number; block < extent.start + extent.length; block += 1) {
        this.#leaveQueue(block)
        if (counts && this.#numReuses[block]! < mostReuses) this.#numReuses[block]! += 1
      }
      this.#pool.retain(extent)
    }
  }

  /** One user less of a block; what can be found is cached when nobody is left. */
  letGo(block: BlockId, release: Release): void {
    const isLast = this.#pool.referencesOf(block) === 1
    this.#pool.releaseOne(block, isLast && this.#keep(block, release))
  }

  /**
   * Makes a full block findable behind its parent (-1: it is a first one). Returns the block that holds this content,
   * which is another one if somebody was sooner: the caller should use that one then.
   */
  insert(block: BlockId, parent: number, keys: PrefixKeys, blockIndex: number): BlockId {
    const at = keys.offsetOf(blockIndex)
    const known = this.#index.find(keys.words, at)
    if (known >= 0) return toBlockId(known)
    this.#index.add(block, keys.words, at)
    this.seen.add(keys.words, at)
    const tailParent = this.#tailParent(parent, keys)
    const hasSiblings = parent === root || this.#tree.numChildrenOf(parent) > (this.#tree.has(block) ? 1 : 0)
    this.#tree.link(block, parent)
    // Sequences part here: the next one may share a part of this block.
    if (hasSiblings || this.#tails.has(block)) {
      const start = blockIndex * this.#blockSize
      this.#addTail(block, tailParent, keys.tokens.slice(start, start + this.#blockSize))
    }
    return block
  }

  /** Makes the block that begins with `tokens` behind `parent` findable; its user may fill it on. */
  insertTail(block: BlockId, parent: number, keys: PrefixKeys, tokens: readonly number[]): void {
    this.#addTail(block, this.#tailParent(parent, keys), tokens)
    if (this.#tails.has(block)) this.#tree.link(block, parent)
  }

  /** Makes a block that has one user and no children unfindable. True when it did. */
  forget(block: BlockId): boolean {
    if (this.#pool.referencesOf(block) !== 1 || this.#tree.numChildrenOf(block) !== 0) return false
    this.#remove(block)
    return true
  }

  /** The cached block that is worth least; undefined when there is none. */
  get firstEvictable(): BlockId | undefined {
    const block = this.#queue.first()
    return block < 0 ? undefined : toBlockId(block)
  }

  /** Blocks that may be evicted, in about that order, at most `most`. The cache may not change meanwhile. */
  *evictable(most: number): Generator<BlockId> {
    for (let place = 0; place < most; place += 1) {
      const block = this.#queue.at(place)
      if (block < 0) return
      yield toBlockId(block)
    }
  }

  /** Frees a cached block that no other one continues. */
  evictBlock(block: BlockId): void {
    this.#policy.onEvict?.(this.#queue.priorityOf(block))
    this.#evictBlock(block)
  }

  /** Frees the cached block that is worth least. False when there is none. */
  evict(): boolean {
    const block = this.firstEvictable
    if (block !== undefined) this.evictBlock(block)
    return block !== undefined
  }

  /** What decides when a block goes: the lowest goes first. 0 for a block that nobody let go of. */
  worthOf(block: number): number {
    return this.#queue.priorityOf(block)
  }

  /** It can be found, and nobody uses it. */
  isCached(block: BlockId): boolean {
    return this.#pool.stateOf(block) === 'cached'
  }

  /** It is worth more for a time. */
  isRaised(block: number): boolean {
    return this.#isRaised[block] === 1
  }

  /** How often somebody came back for a block. */
  reusesOf(block: number): number {
    return this.#numReuses[block]!
  }

  /** Makes a block worth at least what it would be if it were let go of so, until `lower`. Returns what that is. */
  raise(block: BlockId, release: Release): number {
    const worth = Math.max(this.worthOf(block), this.#worthIf(block, release))
    this.#queue.change(block, worth)
    this.#setRaised(block, 1)
    return worth
  }

  /** It is worth as much as `worth` says, or, where `release` is given, what it would be if it were let go of so. */
  lower(block: BlockId, worth: number, release: Release | undefined): void {
    const least = release === undefined ? 0 : this.#worthIf(block, release)
    this.#queue.change(block, Math.max(worth, least))
    this.#setRaised(block, 0)
  }

  /** The key of a full block lies in `words` at `keyOffset`; undefined for a block that has none. */
  keyOffset(block: BlockId): number | undefined {
    return this.#index.has(block) ? wordsPerKey * block : undefined
  }

  /** Valid until the next `insert`. */
  get words(): Int32Array {
    return this.#index.words
  }

  /** The block before; undefined for the first of a sequence. */
  parentOf(block: BlockId): BlockId | undefined {
    const parent = this.#tree.parentOf(block)
    return parent < 0 ? undefined : toBlockId(parent)
  }

  /** A block of the tree and all before it, in token order. */
  pathTo(last: BlockId): BlockId[] {
    return this.#tree.pathTo(last)
  }

  /** Whether blocks other than `next` continue a block. */
  isContinuedBeside(block: BlockId, next: BlockId | undefined): boolean {
    const isNext = next !== undefined && this.#tree.parentOf(next) === (block as number)
    return this.#tree.numChildrenOf(block) > (isNext ? 1 : 0)
  }

  /**
   * Another block, which nobody can find yet, has the content of one that is owned: it is found instead, behind
   * `parent`, or behind the old one's parent. Of the blocks of a sequence, those before it go first.
   */
  relocate(block: BlockId, to: BlockId, parent: BlockId | undefined): void {
    if (!this.#tree.has(block)) return
    this.#tree.replace(block, to, parent)
    if (this.#index.has(block)) {
      this.#index.remove(block)
      this.#index.add(to, this.#index.words, block * wordsPerKey)
    }
    this.#tails.rename(block, to)
    this.#numReuses[to] = this.#numReuses[block]!
    this.#numReuses[block] = 0
    // One that is worth more for a time is told so by its old number: it is worth anew what its last user leaves.
    this.#queue.setPriority(to, this.#isRaised[block] === 1 ? 0 : this.#queue.priorityOf(block))
    this.#queue.setPriority(block, 0)
    this.#isRaised[block] = 0
  }

  /** Keeps blocks from being evicted, without saying that anybody came back for them; parents before children. */
  hold(blocks: readonly BlockId[]): void {
    for (const block of blocks) {
      this.#leaveQueue(block)
      this.#pool.retain({ start: block, length: 1 })
    }
  }

  /** Ends `hold`: they are worth what they were. */
  unhold(blocks: readonly BlockId[]): void {
    for (const block of blocks) {
      this.#pool.release({ start: block, length: 1 }, () => this.#stay(block))
    }
  }

  /** @throws {InvariantError} when tree, index, queue and pool disagree. */
  checkInvariants(): void {
    this.#queue.checkInvariants()
    const numChildren = new Int32Array(this.#pool.numBlocks)
    let numQueued = 0
    for (let block = 0; block < this.#pool.numBlocks; block += 1) {
      const state = this.#pool.stateOf(toBlockId(block))
      const isFindable = this.#index.has(block) || this.#tails.has(toBlockId(block))
      invariant(state !== 'free' || !this.#tree.has(block), `block ${block} is free and in the tree`)
      invariant(state !== 'free' || !isFindable, `block ${block} is free and can be found`)
      invariant(state !== 'cached' || isFindable, `block ${block} is cached and cannot be found`)
      invariant(!isFindable || this.#tree.has(block), `block ${block} can be found and has no place`)
      const parent = this.#tree.parentOf(block)
      if (parent < 0) continue
      numChildren[parent]! += 1
      invariant(this.#index.has(parent), `block ${block} is in the tree and block ${parent} before it is not`)
      const isParentOwned = this.#pool.referencesOf(toBlockId(parent)) > 0
      invariant(
        state === 'cached' || isParentOwned,
        `block ${block} is owned and its parent ${parent} is not`,
      )
    }
    let numRaised = 0
    for (let block = 0; block < this.#pool.numBlocks; block += 1) {
      if (this.#isRaised[block] === 1 && this.#pool.stateOf(toBlockId(block)) === 'cached') numRaised += 1
      const isEnd = this.#pool.stateOf(toBlockId(block)) === 'cached' && numChildren[block] === 0
      invariant(
        numChildren[block] === this.#tree.numChildrenOf(block),
        `block ${block} miscounts its children`,
      )
      invariant(isEnd === this.#queue.has(block), `block ${block} is in the wrong place for eviction`)
      if (isEnd) numQueued += 1
    }
    invariant(numRaised === this.#numRaised, `${this.#numRaised} blocks counted as raised, ${numRaised} are`)
    invariant(numQueued === this.#queue.size, `${this.#queue.size} blocks queued, ${numQueued} are ends`)
  }

  #findBlock(keys: PrefixKeys, blockIndex: number): number {
    const at = keys.offsetOf(blockIndex)
    return this.#index.find(keys.words, at)
  }

  #findTail(keys: PrefixKeys, start: number, end: number, parent: number): PrefixHit['tail'] {
    if (start >= end) return undefined
    // All of the next block is there, and not all of it may be used.
    const next = end - start < this.#blockSize ? start / this.#blockSize : keys.numBlocks
    const whole = next < keys.numBlocks ? this.#findBlock(keys, next) : -1
    if (whole >= 0) return { block: toBlockId(whole), numTokens: end - start }
    const tailParent = this.#tailParent(parent, keys)
    const found = this.#tails.find(tailParent, keys.tokens, start, Math.min(end, keys.tokens.length))
    return found && { block: found.tail.block, numTokens: found.numTokens }
  }

  #tailParent(parent: number, keys: PrefixKeys): TailParent {
    return parent === root ? keys.root : toBlockId(parent)
  }

  #addTail(block: BlockId, parent: TailParent, tokens: readonly number[]): void {
    for (const dropped of this.#tails.add({ block, parent, tokens })) {
      if (this.#index.has(dropped)) continue
      if (this.#pool.stateOf(dropped) === 'cached') this.#evictBlock(dropped)
      else this.#unlink(dropped)
    }
  }

  #worthIf(block: number, { step, position, retention }: Release): number {
    return this.#policy.priorityOf({ step, position, retention, numReuses: this.#numReuses[block]! })
  }

  #setRaised(block: BlockId, isRaised: 0 | 1): void {
    if (this.#isRaised[block] === isRaised) return
    this.#isRaised[block] = isRaised
    if (this.isCached(block)) this.#numRaised += isRaised === 1 ? 1 : -1
  }

  /** Before somebody uses or holds it. */
  #leaveQueue(block: number): void {
    if (this.#queue.has(block)) this.#queue.remove(block)
    if (this.#isRaised[block] === 1 && this.isCached(toBlockId(block))) this.#numRaised -= 1
  }

  #keep(block: BlockId, release: Release): boolean {
    // Another user may have wished it to stay longer.
    this.#queue.setPriority(block, Math.max(this.#queue.priorityOf(block), this.#worthIf(block, release)))
    const stays = this.#stay(block)
    if (stays && this.#index.has(block)) this.onCached?.(block)
    return stays
  }

  /** A block has lost its last user. True when it stays in the cache. */
  #stay(block: BlockId): boolean {
    if (!this.#index.has(block) && !this.#tails.has(block)) {
      this.#remove(block)
      return false
    }
    if (this.#tree.numChildrenOf(block) === 0) this.#queue.add(block)
    if (this.#isRaised[block] === 1) this.#numRaised += 1
    return true
  }

  #evictBlock(block: BlockId): void {
    this.#queue.remove(block)
    if (this.#isRaised[block] === 1) this.#numRaised -= 1
    this.#remove(block)
    this.#pool.evict(block)
  }

  /** Out of the tree, with all that is known of it. */
  #remove(block: BlockId): void {
    if (this.#index.has(block)) this.#index.remove(block)
    this.#tails.remove(block)
    this.#unlink(block)
    this.#numReuses[block] = 0
    this.#isRaised[block] = 0
    this.#queue.setPriority(block, 0)
  }

  #unlink(block: BlockId): void {
    const parent = this.#tree.unlink(block)
    if (parent !== undefined && this.#pool.stateOf(parent) === 'cached') this.#queue.add(parent)
  }
}
