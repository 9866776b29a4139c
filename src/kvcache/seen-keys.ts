import type { PrefixKeys } from './prefix-keys.ts'

/**
 * Every key that was ever computed, as 32-bit fingerprints: what a cache of infinite size would hold, for comparison.
 * A fingerprint is wrong once in billions, which no statistics notice. Beyond its limit it takes no more.
 */
export class SeenKeys {
  readonly #limit: number
  #slots = new Uint32Array(1024)
  #size = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#size
  }

  /** True once keys were turned away: what `longest` says is too little from then on. */
  get isFull(): boolean {
    return this.#size >= this.#limit
  }

  get numBytes(): number {
    return this.#slots.byteLength
  }

  add(words: Int32Array, at: number): void {
    if (this.isFull) return
    if (this.#size * 4 >= this.#slots.length * 3) this.#double()
    this.#insert(fingerprint(words, at))
  }

  /** Of the first `most` blocks, how many in a row were seen. */
  longest(keys: PrefixKeys, most: number): number {
    let low = 0
    let high = Math.min(most, keys.numBlocks)
    while (low < high) {
      const middle = (low + high + 1) >> 1
      const at = keys.offsetOf(middle - 1)
      if (this.#has(fingerprint(keys.words, at))) low = middle
      else high = middle - 1
    }
    return low
  }

  #has(value: number): boolean {
    return this.#slots[this.#slotOf(value)] === value
  }

  #insert(value: number): void {
    const slot = this.#slotOf(value)
    if (this.#slots[slot] === value) return
    this.#slots[slot] = value
    this.#size += 1
  }

  /** Where the value is, or would be. */
  #slotOf(value: number): number {
    const mask = this.#slots.length - 1
    let slot = Math.imul(value, 0x9e3779b1) & mask
    while (this.#slots[slot] !== 0 && this.#slots[slot] !== value) slot = (slot + 1) & mask
    return slot
  }

  #double(): void {
    const before = this.#slots
    this.#slots = new Uint32Array(before.length * 2)
    this.#size = 0
    for (const value of before) if (value !== 0) this.#insert(value)
  }
}

/** Not 0, which means empty. */
const fingerprint = (words: Int32Array, at: number): number => words[at + 1]! >>> 0 || 1
