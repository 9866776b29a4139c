import { invariant } from '../core/errors.ts'

const outside = -1

/** Blocks that may be evicted, the one to go first in front: a binary heap in which every block knows its place. */
export class EvictionQueue {
  readonly #order: Int32Array
  readonly #places: Int32Array
  readonly #priorities: Float64Array
  #size = 0

  constructor(numBlocks: number) {
    this.#order = new Int32Array(numBlocks)
    this.#places = new Int32Array(numBlocks).fill(outside)
    this.#priorities = new Float64Array(numBlocks)
  }

  get size(): number {
    return this.#size
  }

  get numBytes(): number {
    return this.#order.byteLength + this.#places.byteLength + this.#priorities.byteLength
  }

  /** 0 for a block that was never given one, or was forgotten since. */
  priorityOf(block: number): number {
    return this.#priorities[block]!
  }

  /** The block must not be in the queue. Lower goes first. */
  setPriority(block: number, priority: number): void {
    this.#priorities[block] = priority
  }

  /** As `setPriority`, also for a block in the queue. */
  change(block: number, priority: number): void {
    this.#priorities[block] = priority
    const place = this.#places[block]!
    if (place === outside) return
    this.#siftUp(block, place)
    this.#siftDown(block, this.#places[block]!)
  }

  has(block: number): boolean {
    return this.#places[block] !== outside
  }

  /** The block to evict next, or -1. */
  first(): number {
    return this.#size === 0 ? -1 : this.#order[0]!
  }

  /** In about the order of eviction: nobody is behind more than those of higher priority. -1 beyond the end. */
  at(place: number): number {
    return place < this.#size ? this.#order[place]! : -1
  }

  add(block: number): void {
    invariant(!this.has(block), `block ${block} is queued for eviction twice`)
    this.#siftUp(block, this.#size++)
  }

  remove(block: number): void {
    const place = this.#places[block]!
    invariant(place !== outside, `block ${block} is not queued for eviction`)
    this.#places[block] = outside
    const last = this.#order[--this.#size]!
    if (last === block) return
    this.#siftUp(last, place)
    this.#siftDown(last, this.#places[last]!)
  }

  /** @throws {InvariantError} when a block does not know its place, or is behind one that should follow it. */
  checkInvariants(): void {
    for (let place = 0; place < this.#size; place += 1) {
      const block = this.#order[place]!
      invariant(this.#places[block] === place, `block ${block} does not know its place`)
      const parent = this.#order[(place - 1) >> 1]
      const isInOrder = place === 0 || this.#priorities[parent!]! <= this.#priorities[block]!
      invariant(isInOrder, `block ${block} is queued behind one that should follow it`)
    }
  }

  #place(block: number, place: number): void {
    this.#order[place] = block
    this.#places[block] = place
  }

  #siftUp(block: number, from: number): void {
    const priority = this.#priorities[block]!
    let place = from
    while (place > 0) {
      const parentPlace = (place - 1) >> 1
      const parent = this.#order[parentPlace]!
      if (this.#priorities[parent]! <= priority) break
      this.#place(parent, place)
      place = parentPlace
    }
    this.#place(block, place)
  }

  #siftDown(block: number, from: number): void {
    const priority = this.#priorities[block]!
    let place = from
    for (;;) {
      let childPlace = 2 * place + 1
      if (childPlace >= this.#size) break
      const right = childPlace + 1
      if (right < this.#size && this.#priorityAt(right) < this.#priorityAt(childPlace)) childPlace = right
      if (priority <= this.#priorityAt(childPlace)) break
      this.#place(this.#order[childPlace]!, place)
      place = childPlace
    }
    this.#place(block, place)
  }

  #priorityAt(place: number): number {
    return this.#priorities[this.#order[place]!]!
  }
}
