/**
 * Stand-ins for tokens: a keyed hash of a token and of all before it in its sequence. Two sequences have the same
 * stand-ins exactly as far as they have the same tokens, which is all that planning looks at; what the tokens are
 * cannot be told from them without the key. 64 bits of state, 32 of which are shown.
 */
export class TokenChain {
  readonly #seed: number
  #high: number
  #low: number

  /** Sequences of different namespaces may have anything in common: they share no blocks. */
  constructor(seed: number) {
    this.#seed = seed | 0
    this.#high = mix(this.#seed ^ 0x3c6ef372)
    this.#low = mix(this.#seed ^ 0x1f83d9ab)
  }

  next(token: number): number {
    this.#low = mix(this.#low ^ token ^ this.#seed)
    this.#high = mix((this.#high + this.#low) | 0)
    this.#low = (this.#low + Math.imul(this.#high, 0x9e3779b1)) | 0
    return this.#high
  }

  all(tokens: readonly number[]): number[] {
    return tokens.map((token) => this.next(token))
  }
}

function mix(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
