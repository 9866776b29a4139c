import { invariant } from '../core/errors.ts'
import { wordsPerKey } from './prefix-hasher.ts'

const none = -1
const absent = -2

/** Blocks by key: a hash table with chains through typed arrays, 24 to 28 bytes a block of the pool. */
export class BlockIndex {
  readonly #keys: Int32Array
  readonly #heads: Int32Array
  readonly #next: Int32Array
  #size = 0

  constructor(numBlocks: number) {
    const numHeads = 2 ** Math.ceil(Math.log2(Math.max(2, numBlocks)))
    this.#keys = new Int32Array(numBlocks * wordsPerKey)
    this.#heads = new Int32Array(numHeads).fill(none)
    this.#next = new Int32Array(numBlocks).fill(absent)
  }

  get size(): number {
    return this.#size
  }

  get numBytes(): number {
    return this.#keys.byteLength + this.#heads.byteLength + this.#next.byteLength
  }

  /** A copy of the block's key, which it must have. */
  keyOf(block: number): readonly number[] {
    return Array.from(this.#keys.subarray(block * wordsPerKey, (block + 1) * wordsPerKey))
  }

  /** The keys of all blocks; that of block b, if it has one, at b * wordsPerKey. */
  get words(): Int32Array {
    return this.#keys
  }

  has(block: number): boolean {
    return this.#next[block] !== absent
  }

  /** The block with the key at `words[at ...]`, or -1. */
  find(words: Int32Array, at: number): number {
    const keys = this.#keys
    let block = this.#heads[this.#slotOf(words[at]!)]!
    for (; block !== none; block = this.#next[block]!) {
      const own = block * wordsPerKey
      const isSame =
        keys[own] === words[at] &&
        keys[own + 1] === words[at + 1] &&
        keys[own + 2] === words[at + 2] &&
        keys[own + 3] === words[at + 3]
      if (isSame) return block
    }
    return none
  }

  /** Neither the block nor the key may be there yet. */
  add(block: number, words: Int32Array, at: number): void {
    invariant(!this.has(block), `block ${block} has a key already`)
    for (let index = 0; index < wordsPerKey; index += 1) {
      this.#keys[block * wordsPerKey + index] = words[at + index]!
    }
    const slot = this.#slotOf(words[at]!)
    this.#next[block] = this.#heads[slot]!
    this.#heads[slot] = block
    this.#size += 1
  }

  remove(block: number): void {
    const slot = this.#slotOf(this.#keys[block * wordsPerKey]!)
    const next = this.#next[block]!
    if (this.#heads[slot] === block) this.#heads[slot] = next
    else {
      let before = this.#heads[slot]!
      while (this.#next[before] !== block) before = this.#next[before]!
      this.#next[before] = next
    }
    this.#next[block] = absent
    this.#size -= 1
  }

  #slotOf(word: number): number {
    return word & (this.#heads.length - 1)
  }
}
