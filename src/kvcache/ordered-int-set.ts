/**
 * A set of small integers that answers "the smallest member at or above n" in one step per 32-fold of the limit:
 * a bitmap, a bitmap of its non-empty words, and so on up to one word.
 */
export class OrderedIntSet {
  /** Level 0 has one bit per integer; a bit of level k + 1 says whether a word of level k has any bit set. */
  readonly #levels: Int32Array[] = []

  /** Holds integers in [0, limit). */
  constructor(limit: number) {
    let numWords = Math.ceil(Math.max(1, limit) / 32)
    this.#levels.push(new Int32Array(numWords))
    while (numWords > 1) {
      numWords = Math.ceil(numWords / 32)
      this.#levels.push(new Int32Array(numWords))
    }
  }

  get numBytes(): number {
    return this.#levels.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }

  add(value: number): void {
    let position = value
    for (const words of this.#levels) {
      const index = position >>> 5
      const before = words[index]!
      words[index] = before | (1 << (position & 31))
      if (before !== 0) return
      position = index
    }
  }

  delete(value: number): void {
    let position = value
    for (const words of this.#levels) {
      const index = position >>> 5
      const after = words[index]! & ~(1 << (position & 31))
      words[index] = after
      if (after !== 0) return
      position = index
    }
  }

  /** The smallest member that is not below `value`, or -1. */
  firstAtLeast(value: number): number {
    let position = value
    for (let level = 0; level < this.#levels.length; level += 1) {
      const words = this.#levels[level]!
      const index = position >>> 5
      if (index >= words.length) return -1
      const bits = words[index]! & (-1 << (position & 31))
      if (bits !== 0) return this.#descendLowest(level, index * 32 + lowestBit(bits))
      position = index + 1
    }
    return -1
  }

  /** The largest member, or -1. */
  last(): number {
    let position = 0
    for (let level = this.#levels.length - 1; level >= 0; level -= 1) {
      const bits = this.#levels[level]![position]!
      if (bits === 0) return -1
      position = position * 32 + 31 - Math.clz32(bits)
    }
    return position
  }

  #descendLowest(fromLevel: number, fromPosition: number): number {
    let position = fromPosition
    for (let level = fromLevel - 1; level >= 0; level -= 1) {
      position = position * 32 + lowestBit(this.#levels[level]![position]!)
    }
    return position
  }
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits)
}
