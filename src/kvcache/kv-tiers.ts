import { invariant } from '../core/errors.ts'
import { MoveCosts } from './move-costs.ts'
import type { PrefixKeys } from './prefix-keys.ts'
import type { TierFill } from './swap-stats.ts'
import { TierDirectory } from './tier-directory.ts'
import { noSlot, type TransferOutcome } from './transfer.ts'

export interface TierSize {
  readonly name: string
  readonly numSlots: number
}

/** Blocks that come next in a sequence and are in tiers, though not in the pool. */
export interface TierHit {
  readonly numBlocks: number
  /** `slots[tier][block]`: from where each is read; one tier each, `noSlot` in the others. */
  readonly slots: readonly (readonly number[])[]
}

/** Deeper blocks of one use go first: nobody finds them without those before them. */
const depthShare = 2 ** -24

interface TierState {
  readonly name: string
  readonly directory: TierDirectory
  readonly writing: MoveCosts
  readonly reading: MoveCosts
}

/**
 * The tiers below the pool, fastest first: which block is where, and what moving costs. Written blocks go to all of
 * them, and are read from the first that has them. Recency is a step counter, as in the pool.
 */
export class KvTiers {
  readonly bytesPerBlock: number
  readonly #tiers: readonly TierState[]

  constructor(tiers: readonly TierSize[], bytesPerBlock: number) {
    this.bytesPerBlock = bytesPerBlock
    this.#tiers = tiers.map(({ name, numSlots }) => ({
      name,
      directory: new TierDirectory(numSlots),
      writing: new MoveCosts(),
      reading: new MoveCosts(),
    }))
  }

  get names(): readonly string[] {
    return this.#tiers.map(({ name }) => name)
  }

  get fills(): readonly TierFill[] {
    return this.#tiers.map(({ directory: { numSlots, numRetired, numKept, numFree } }) => ({
      numSlots,
      numRetired,
      numKept,
      numFree,
    }))
  }

  get isReadOnly(): boolean {
    return this.#tiers.every(({ directory }) => directory.isReadOnly)
  }

  directory(tier: number): TierDirectory {
    return this.#tiers[tier]!.directory
  }

  /** Whether a tier has the block with the key at `words[at ...]`. */
  has(words: Int32Array, at: number): boolean {
    return this.#tiers.some(({ directory }) => directory.find(words, at) >= 0)
  }

  /** Blocks [from, most) of a sequence as far as tiers have them without a gap. */
  locate(keys: PrefixKeys, from: number, most: number): TierHit {
    const slots = this.#tiers.map((): number[] => [])
    const last = Math.min(most, keys.numBlocks)
    let block = from
    for (; block < last; block += 1) {
      const at = keys.offsetOf(block)
      const found = this.#tiers.map(({ directory }) => directory.find(keys.words, at))
      const first = found.findIndex((slot) => slot >= 0)
      if (first < 0) break
      found.forEach((slot, tier) => slots[tier]!.push(tier === first ? slot : noSlot))
    }
    return { numBlocks: block - from, slots }
  }

  /** Slots for blocks that are to be written; where a tier has too few, for the first of them. */
  allocate(count: number): number[][] {
    return this.#tiers.map(({ directory }) => {
      const slots = directory.allocate(count)
      return [...slots, ...Array.from({ length: count - slots.length }, () => noSlot)]
    })
  }

  /** What was written belongs to the keys at `words[0 ...]`, one behind the other. */
  noteWritten(
    slots: readonly (readonly number[])[],
    words: Int32Array,
    wordsPerKey: number,
    outcome: TransferOutcome,
    priorityOf: (block: number) => number,
  ): void {
    this.#tiers.forEach(({ directory, writing }, tier) => {
      const isDone = outcome.isDone[tier]!
      const failed: number[] = []
      slots[tier]!.forEach((slot, block) => {
        if (slot === noSlot) return
        if (isDone[block]) directory.commit(slot, words, block * wordsPerKey, priorityOf(block))
        else failed.push(slot)
      })
      if (failed.length > 0) directory.retire(failed)
      this.#observe(writing, outcome, tier)
    })
  }

  pin({ slots }: TierHit): void {
    this.#eachSlot(slots, ({ directory }, slot) => directory.pin(slot))
  }

  /** What was read is let go; what could not be read is forgotten. */
  noteRead(
    slots: readonly (readonly number[])[],
    outcome: TransferOutcome,
    priorityOf: (block: number) => number,
  ): void {
    this.#eachSlot(slots, ({ directory }, slot, tier, block) => {
      if (!outcome.isDone[tier]![block]) directory.forget(slot)
      directory.unpin(slot, priorityOf(block))
    })
    this.#tiers.forEach(({ reading }, tier) => this.#observe(reading, outcome, tier))
  }

  /** Somebody came back for the block: it stays longer. */
  touch(words: Int32Array, at: number, priority: number): void {
    for (const { directory } of this.#tiers) {
      const slot = directory.find(words, at)
      if (slot >= 0) directory.touch(slot, priority)
    }
  }

  /** No tier has the block any more. */
  forget(words: Int32Array, at: number): void {
    for (const { directory } of this.#tiers) {
      const slot = directory.find(words, at)
      if (slot >= 0) directory.forget(slot)
    }
  }

  /** Microseconds to write blocks to the slowest tier that takes any, and to read them back from the first. */
  roundTripMicros(numBlocks: number): number {
    const numBytes = numBlocks * this.bytesPerBlock
    const open = this.#tiers.filter(({ directory }) => !directory.isReadOnly)
    const reading = open[0]?.reading.predict(numBytes) ?? 0
    return reading + Math.max(0, ...open.map(({ writing }) => writing.predict(numBytes)))
  }

  /** Microseconds to read a hit. */
  readMicros({ slots }: TierHit): number {
    const times = this.#tiers.map(({ reading }, tier) => {
      const numBlocks = slots[tier]!.filter((slot) => slot !== noSlot).length
      return numBlocks === 0 ? 0 : reading.predict(numBlocks * this.bytesPerBlock)
    })
    return Math.max(...times)
  }

  /** @throws {InvariantError} unless every slot in use is used by one of `transfers`. */
  checkInvariants(transfers: Iterable<{ readonly slots: readonly (readonly number[])[] }>): void {
    const uses = this.#tiers.map(() => new Map<number, number>())
    for (const { slots } of transfers) {
      invariant(slots.length === this.#tiers.length, 'a transfer knows other tiers')
      this.#eachSlot(slots, (_, slot, tier) => {
        uses[tier]!.set(slot, (uses[tier]!.get(slot) ?? 0) + 1)
      })
    }
    this.#tiers.forEach(({ directory }, tier) => directory.checkInvariants(uses[tier]!))
  }

  #observe(costs: MoveCosts, { moves }: TransferOutcome, tier: number): void {
    const { numBytes, micros } = moves[tier]!
    costs.observe(numBytes, micros)
  }

  #eachSlot(
    slots: readonly (readonly number[])[],
    visit: (tier: TierState, slot: number, tierIndex: number, block: number) => void,
  ): void {
    this.#tiers.forEach((tier, tierIndex) => {
      slots[tierIndex]!.forEach((slot, block) => {
        if (slot !== noSlot) visit(tier, slot, tierIndex, block)
      })
    })
  }
}

/** What a slot counts that was used in a step, for the block at `depth` in its sequence. */
export function slotPriority(step: number, depth: number): number {
  return 1 + step - depth * depthShare
}
