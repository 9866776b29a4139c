/**
 * Counter-based randomness: a draw is a pure function of (seed, stream, index). A sequence that is preempted,
 * recomputed or moved draws the same numbers again, whoever else is in the batch.
 * The mixer is the finaliser of MurmurHash3 (Austin Appleby, public domain), applied per word.
 */
export function uniformAt(seed: number, stream: number, index: number): number {
  const high = mix(seed, stream, index, 0x9e3779b9)
  const low = mix(seed, stream, index, 0x85ebca6b)
  return ((high >>> 5) * 67_108_864 + (low >>> 6)) / 9_007_199_254_740_992
}

/** A seeded stream of uniforms in [0, 1), for generators and property tests. */
export class RandomStream {
  readonly #seed: number
  readonly #stream: number
  #index = 0

  constructor(seed: number, stream = 0) {
    this.#seed = seed
    this.#stream = stream
  }

  next(): number {
    return uniformAt(this.#seed, this.#stream, this.#index++)
  }

  /** Uniform integer in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  /** An independent stream for a subsystem. */
  split(stream: number): RandomStream {
    return new RandomStream(this.#seed, (this.#stream * 31 + stream + 1) | 0)
  }
}

function mix(seed: number, stream: number, index: number, salt: number): number {
  let hash = scramble((seed ^ salt) | 0)
  hash = scramble(hash ^ Math.floor(seed / 4_294_967_296) ^ 0x51ed270b)
  hash = scramble(hash ^ stream)
  return scramble(hash ^ index)
}

function scramble(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
