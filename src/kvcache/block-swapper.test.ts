import { describe, expect, it } from 'vitest'
import { toSequenceId } from '../core/units.ts'
import { lru } from './eviction/lru.ts'
import { KvCacheManager } from './kv-cache-manager.ts'
import { KvTiers } from './kv-tiers.ts'
import { MoveCosts } from './move-costs.ts'
import type { Transfer, TransferOutcome } from './transfer.ts'

const blockSize = 4

/** A pool of `numBlocks` blocks above one tier, whose transfers are carried out by hand. */
class Books {
  readonly tiers: KvTiers
  readonly kv: KvCacheManager
  #nextId = 1

  constructor(numBlocks: number, numSlots: number) {
    this.tiers = new KvTiers([{ name: 'disk', numSlots }], 100)
    const swapper = { tiers: this.tiers, keptTier: undefined }
    this.kv = new KvCacheManager({ numBlocks, blockSize }, { eviction: lru(), seed: 1, swapper })
  }

  get swapper() {
    return this.kv.swapper!
  }

  /** Serves a sequence: computes what is not found, and leaves it cached. Returns how many tokens were found. */
  serve(tokens: readonly number[]): number {
    const id = toSequenceId(this.#nextId++)
    const keys = this.kv.createKeys('', tokens)
    const size = { numTokens: tokens.length, maxTokens: tokens.length, numPromptTokens: tokens.length }
    const started = this.kv.start({ id, keys, retention: 1, ...size }, this.find(tokens))
    this.kv.noteComputed(id, tokens.length)
    this.kv.free(id)
    this.kv.endStep()
    return started!.numTokens
  }

  find(tokens: readonly number[]) {
    return this.kv.findPrefix(this.kv.createKeys('', tokens), tokens.length - 1)
  }

  bringBack(sequence: number, tokens: readonly number[]) {
    const keys = this.kv.createKeys('', tokens)
    const maxTokens = tokens.length - 1
    const returner = { id: toSequenceId(sequence), keys, maxTokens, reason: 'prefix' } as const
    return this.kv.bringBack(returner, this.find(tokens))
  }

  /** Carries out what is to be moved. */
  move(isGood: (block: number) => boolean = () => true): readonly Transfer[] {
    const transfers = this.swapper.takeTransfers()
    for (const transfer of transfers) this.swapper.finish(outcomeOf(transfer, isGood))
    this.kv.checkInvariants()
    return transfers
  }

  /** Writes out and evicts until `count` blocks are free. */
  makeRoom(count: number): number {
    let numWritten = 0
    while (!this.kv.prepareStart(this.find([0]), count * blockSize)) {
      for (const { numBlocks } of this.move()) numWritten += numBlocks
    }
    return numWritten
  }
}

function outcomeOf({ id, numBlocks, slots }: Transfer, isGood: (block: number) => boolean): TransferOutcome {
  const isDone = slots.map((row) => row.map((slot, block) => slot >= 0 && isGood(block)))
  return { id, isDone, moves: [{ numBytes: numBlocks * 100, micros: 10 }] }
}

const story = (length: number, who = 0): number[] =>
  Array.from({ length }, (_, index) => index * 3 + 1000 * who)

describe('swapping blocks', () => {
  it('writes out what has to go, and brings it back', () => {
    const books = new Books(8, 100)
    books.serve(story(32))
    expect(books.makeRoom(8)).toBe(8)
    expect(books.find(story(33)).numTokens).toBe(0)
    expect(books.bringBack(90, story(33))).toBe('begun')
    expect(books.find(story(33)).numTokens).toBe(0)
    books.move()
    expect(books.find(story(33)).numBlocks).toBe(8)
    expect(books.swapper.stats).toMatchObject({ numClean: 8, movedBytes: { room: 800, prefix: 800 } })
  })

  it('moves only what is new of a sequence that grew', () => {
    const books = new Books(12, 100)
    books.serve(story(32))
    expect(books.makeRoom(12)).toBe(8)
    books.bringBack(90, story(41))
    books.move()
    books.swapper.arrivals.release(toSequenceId(90))
    expect(books.serve(story(41))).toBe(32)
    expect(books.makeRoom(12)).toBe(2)
    expect(books.bringBack(91, story(41))).toBe('begun')
    expect(books.move().map(({ numBlocks }) => numBlocks)).toEqual([10])
  })

  it('brings back what comes before the first block that is damaged, and forgets that one', () => {
    const books = new Books(8, 100)
    books.serve(story(32))
    books.makeRoom(8)
    books.bringBack(90, story(33))
    books.move((block) => block !== 3)
    expect(books.find(story(33)).numBlocks).toBe(3)
    expect(books.swapper.stats.numFailedReads).toBe(1)
    expect(books.bringBack(91, story(33))).toBe('nothing')
  })

  it('lets nobody have the blocks that are under way', () => {
    const books = new Books(8, 100)
    books.serve(story(32))
    expect(books.kv.prepareStart(books.find([0]), 32)).toBe(false)
    expect(books.kv.numAvailableBlocks).toBe(0)
    expect(books.kv.grow(toSequenceId(70), 4)).toBe(false)
    expect(books.tiers.fills).toEqual([{ numSlots: 100, numRetired: 0, numKept: 0, numFree: 92 }])
    books.move()
    expect(books.tiers.fills).toEqual([{ numSlots: 100, numRetired: 0, numKept: 8, numFree: 92 }])
    expect(books.kv.numAvailableBlocks).toBe(8)
  })

  it('gives a tier up that fails three times in a row, and evicts without it', () => {
    const books = new Books(8, 100)
    for (let round = 0; round < 3; round += 1) {
      books.serve(story(32, round))
      while (!books.kv.prepareStart(books.find([0]), 32)) books.move(() => false)
    }
    expect(books.tiers.isReadOnly).toBe(true)
    expect(books.tiers.fills).toEqual([{ numSlots: 0, numRetired: 100, numKept: 0, numFree: 0 }])
    expect(books.swapper.stats.numFailedWrites).toBeGreaterThan(0)
    expect(books.kv.prepareStart(books.find([0]), 32)).toBe(true)
    expect(books.swapper.takeTransfers()).toEqual([])
  })

  it('drops what is computed again sooner than it is moved', () => {
    const books = new Books(8, 100)
    books.swapper.recomputeTime = () => 1
    books.serve(story(32))
    expect(books.makeRoom(8)).toBe(0)
    expect(books.swapper.stats.numCheap).toBe(8)
  })

  it('makes room in the end where the tier has less of it than what has to go', () => {
    const books = new Books(8, 2)
    books.serve(story(16, 0))
    books.serve(story(16, 1))
    let numRounds = 0
    while (!books.kv.prepareStart(books.find([0]), 32) && numRounds < 20) {
      books.move()
      numRounds += 1
    }
    expect(numRounds).toBeLessThan(10)
    expect(books.tiers.directory(0).numKept).toBeLessThanOrEqual(2)
  })
})

describe('the cost of moves', () => {
  it('is learned as a fixed part and a bandwidth', () => {
    const costs = new MoveCosts()
    const micros = (numBytes: number) => 2000 + numBytes / 250
    for (let index = 0; index < 100; index += 1) {
      const numBytes = 2 ** (18 + (index % 8))
      costs.observe(numBytes, micros(numBytes))
    }
    for (const numBytes of [2 ** 18, 2 ** 22, 2 ** 26]) {
      expect(costs.predict(numBytes) / micros(numBytes)).toBeCloseTo(1, 1)
    }
  })

  it('is never negative, whatever was seen', () => {
    const costs = new MoveCosts()
    for (const [numBytes, micros] of [
      [1e6, 5000],
      [2e6, 4000],
      [4e6, 100],
    ] as const)
      costs.observe(numBytes, micros)
    for (const numBytes of [1, 1e5, 1e7, 1e9]) expect(costs.predict(numBytes)).toBeGreaterThanOrEqual(0)
  })
})
