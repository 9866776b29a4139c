import { InvariantError, invariant } from '../core/errors.ts'
import { OrderedIntSet } from './ordered-int-set.ts'

const none = -1

/**
 * The free blocks of a pool as maximal runs, found by either end and by length. Runs of one length form a linked
 * list; a set over the lengths in use gives the best fit exactly. Hot path: typed arrays, nothing is allocated.
 */
export class FreeRuns {
  /** Length of the free run that starts, or ends, at a block. Meaningful only at those two blocks. */
  readonly #lengthAt: Int32Array
  readonly #firstOfLength: Int32Array
  readonly #next: Int32Array
  readonly #previous: Int32Array
  readonly #lengths: OrderedIntSet
  #numRuns = 0

  constructor(numBlocks: number) {
    this.#lengthAt = new Int32Array(numBlocks)
    this.#firstOfLength = new Int32Array(numBlocks + 1).fill(none)
    this.#next = new Int32Array(numBlocks).fill(none)
    this.#previous = new Int32Array(numBlocks).fill(none)
    this.#lengths = new OrderedIntSet(numBlocks + 1)
  }

  get numRuns(): number {
    return this.#numRuns
  }

  get numBytes(): number {
    const arrays = [this.#lengthAt, this.#firstOfLength, this.#next, this.#previous]
    return arrays.reduce((sum, { byteLength }) => sum + byteLength, this.#lengths.numBytes)
  }

  /** Length of the longest run; 0 when nothing is free. */
  get longest(): number {
    return Math.max(0, this.#lengths.last())
  }

  /** Start of the shortest run of at least `length` blocks, or -1. The last one freed wins among equals. */
  bestFit(length: number): number {
    const fitting = this.#lengths.firstAtLeast(length)
    return fitting === none ? none : this.#firstOfLength[fitting]!
  }

  /** `block` must be the first or the last of a run. */
  lengthAt(block: number): number {
    return this.#lengthAt[block]!
  }

  add(start: number, length: number): void {
    this.#lengthAt[start] = length
    this.#lengthAt[start + length - 1] = length
    const head = this.#firstOfLength[length]!
    this.#next[start] = head
    this.#previous[start] = none
    if (head === none) this.#lengths.add(length)
    else this.#previous[head] = start
    this.#firstOfLength[length] = start
    this.#numRuns += 1
  }

  remove(start: number): void {
    const length = this.#lengthAt[start]!
    const next = this.#next[start]!
    const previous = this.#previous[start]!
    if (next !== none) this.#previous[next] = previous
    if (previous !== none) this.#next[previous] = next
    else this.#firstOfLength[length] = next
    if (previous === none && next === none) this.#lengths.delete(length)
    this.#numRuns -= 1
  }

  /** @throws {InvariantError} when the index by length and the runs `expected` (start to length) differ. */
  checkInvariants(expected: ReadonlyMap<number, number>): void {
    invariant(this.#numRuns === expected.size, `${this.#numRuns} free runs indexed, ${expected.size} exist`)
    let numSeen = 0
    for (
      let length = this.#lengths.firstAtLeast(0);
      length !== none;
      length = this.#lengths.firstAtLeast(length + 1)
    ) {
      for (let start = this.#firstOfLength[length]!; start !== none; start = this.#next[start]!) {
        numSeen += 1
        if (expected.get(start) !== length || this.#lengthAt[start + length - 1] !== length) {
          throw new InvariantError(`free run at block ${start} is indexed with length ${length}`)
        }
      }
    }
    invariant(numSeen === expected.size, `${numSeen} free runs are listed by length, ${expected.size} exist`)
  }
}
