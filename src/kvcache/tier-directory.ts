import { invariant } from '../core/errors.ts'
import { toBlockId } from '../core/units.ts'
import { BlockIndex } from './block-index.ts'
import { BlockPool } from './block-pool.ts'
import { EvictionQueue } from './eviction-queue.ts'

/** After so many failed writes in a row nothing more is written. */
const mostFailures = 3

/**
 * Which blocks a tier holds: its slots by key. A slot is free, being written (one reference, no key), kept (no
 * references, found by its key), being read (references and a key), or retired, because writing to it failed. Slots are
 * given out side by side where that is possible, and taken back in order of priority, lowest first.
 */
export class TierDirectory {
  readonly #slots: BlockPool
  readonly #index: BlockIndex
  readonly #queue: EvictionQueue
  /** Slots that a write went well to: after a fault, no others are tried. */
  readonly #isProven: Uint8Array
  #numRetired = 0
  #numFailuresInRow = 0

  constructor(numSlots: number) {
    this.#slots = new BlockPool(numSlots)
    this.#index = new BlockIndex(numSlots)
    this.#queue = new EvictionQueue(numSlots)
    this.#isProven = new Uint8Array(numSlots)
  }

  /** Slots that are of use. */
  get numSlots(): number {
    return this.#slots.numBlocks - this.#numRetired
  }

  get numFree(): number {
    return this.#slots.numFreeBlocks
  }

  get numRetired(): number {
    return this.#numRetired
  }

  get numKept(): number {
    return this.#index.size
  }

  /** Nothing is written any more; what is kept can still be read. */
  get isReadOnly(): boolean {
    return this.#numFailuresInRow >= mostFailures || this.numSlots === 0
  }

  /** The slot that keeps the key at `words[at ...]`, or -1. */
  find(words: Int32Array, at: number): number {
    return this.#index.find(words, at)
  }

  /** Slots for writing, at most `count`, at the cost of what is kept with the lowest priority. */
  allocate(count: number): number[] {
    if (this.isReadOnly) return []
    while (this.#slots.numFreeBlocks < count && this.#queue.first() >= 0) this.#forget(this.#queue.first())
    const extents = this.#slots.allocate({ numBlocks: Math.min(count, this.#slots.numFreeBlocks) })
    return extents!.flatMap(({ start, length }) => Array.from({ length }, (_, offset) => start + offset))
  }

  /** The slot holds the key's block from now on. */
  commit(slot: number, words: Int32Array, at: number, priority: number): void {
    this.#numFailuresInRow = 0
    this.#isProven[slot] = 1
    if (this.find(words, at) >= 0) return this.#release(slot)
    this.#index.add(slot, words, at)
    this.#queue.setPriority(slot, priority)
    this.#release(slot)
  }

  /** Writing to the slots of one transfer failed: they are retired, and all that were never tried. */
  retire(slots: readonly number[]): void {
    this.#numFailuresInRow += 1
    this.#numRetired += slots.length
    const untried = this.#slots.allocate({ numBlocks: this.#slots.numFreeBlocks })!
    for (const { start, length } of untried) {
      for (let slot = start as number; slot < start + length; slot += 1) {
        if (this.#isProven[slot] === 1) this.#release(slot)
        else this.#numRetired += 1
      }
    }
  }

  /** One more reader of a slot that keeps a key: it stays until `unpin`. */
  pin(slot: number): void {
    if (this.#queue.has(slot)) this.#queue.remove(slot)
    this.#slots.retain(asExtent(slot))
  }

  unpin(slot: number, priority: number): void {
    this.#queue.setPriority(slot, priority)
    this.#release(slot)
  }

  touch(slot: number, priority: number): void {
    if (!this.#queue.has(slot)) return this.#queue.setPriority(slot, priority)
    this.#queue.remove(slot)
    this.#queue.setPriority(slot, priority)
    this.#queue.add(slot)
  }

  /** The slot does not hold what it should: nobody finds it any more. */
  forget(slot: number): void {
    if (this.#queue.has(slot)) this.#forget(slot)
    else if (this.#index.has(slot)) this.#index.remove(slot)
  }

  /** Slots in use by their key, for an index that outlives the process. */
  *kept(): Generator<{ readonly slot: number; readonly key: readonly number[]; readonly priority: number }> {
    for (let slot = 0; slot < this.#slots.numBlocks; slot += 1) {
      if (!this.#index.has(slot)) continue
      yield { slot, key: this.#index.keyOf(slot), priority: this.#queue.priorityOf(slot) }
    }
  }

  /** Takes over what an earlier process kept, before anything else is done. False where slot or key is taken. */
  restore(slot: number, key: readonly number[], priority: number): boolean {
    const words = Int32Array.from(key)
    const isFree = slot < this.#slots.numBlocks && this.#slots.stateOf(toBlockId(slot)) === 'free'
    if (!isFree || this.find(words, 0) >= 0) return false
    this.#slots.take(asExtent(slot))
    this.commit(slot, words, 0, priority)
    return true
  }

  /** @throws {InvariantError} when slots, keys and queue disagree, or a slot is used by nobody of the `uses`. */
  checkInvariants(uses: ReadonlyMap<number, number>): void {
    this.#slots.checkInvariants()
    this.#queue.checkInvariants()
    let numOwned = 0
    for (let slot = 0; slot < this.#slots.numBlocks; slot += 1) {
      const state = this.#slots.stateOf(toBlockId(slot))
      const isKept = state === 'cached'
      invariant(isKept === this.#queue.has(slot), `slot ${slot} is in the wrong place for eviction`)
      invariant(!isKept || this.#index.has(slot), `slot ${slot} is kept and cannot be found`)
      invariant(state !== 'free' || !this.#index.has(slot), `slot ${slot} is free and can be found`)
      if (state !== 'owned') continue
      numOwned += 1
      const references = this.#slots.referencesOf(toBlockId(slot))
      const isRetired = !uses.has(slot)
      invariant(isRetired || references === uses.get(slot), `slot ${slot} has ${references} users`)
    }
    invariant(numOwned === uses.size + this.#numRetired, 'a slot is used by nobody, and not retired')
  }

  #release(slot: number): void {
    this.#slots.release(asExtent(slot), () => {
      if (!this.#index.has(slot)) return false
      this.#queue.add(slot)
      return true
    })
  }

  #forget(slot: number): void {
    this.#queue.remove(slot)
    this.#index.remove(slot)
    this.#slots.evict(toBlockId(slot))
  }
}

const asExtent = (slot: number) => ({ start: toBlockId(slot), length: 1 })
