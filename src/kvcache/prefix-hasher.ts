/**
 * Keys of token blocks: a keyed hash of everything up to and including the block, so that equal keys mean equal
 * content. Two lanes of HalfSipHash-1-3 (Aumasson and Bernstein's SipHash for 32-bit words) under keys of their own
 * make 128 bits. The keys are secret: whoever chooses prompts cannot look for two that collide, and so cannot reach
 * another namespace's blocks. Hot path: 32-bit integers only, nothing is allocated.
 */
import { uniformAt } from '../core/random.ts'
import type { TokenList } from '../core/token-list.ts'

/** Words of a key, in an Int32Array at any offset. */
export const wordsPerKey = 4

/** What makes keys; a simulation, where nobody is malicious, has a quicker one. */
export interface BlockHasher {
  /** The key before the first block of a namespace, into `keys[at ...]`. */
  hashNamespace(namespace: string, keys: Int32Array, at: number): void
  /** The key of a block behind the key at `keys[before ...]`, into `keys[at ...]`; the two may be one place. */
  hashBlock(keys: Int32Array, before: number, at: number, block: TokenRange): void
}

export class PrefixHasher implements BlockHasher {
  readonly #secrets: Int32Array

  /** `seed`: secret where prompts come from people who do not trust each other. */
  constructor(seed: number) {
    this.#secrets = Int32Array.from({ length: 4 }, (_, index) => uniformAt(seed, 0x6b76, index) * 2 ** 32)
  }

  hashNamespace(namespace: string, keys: Int32Array, at: number): void {
    const codes = Array.from({ length: namespace.length }, (_, index) => namespace.charCodeAt(index))
    keys.fill(0, at, at + wordsPerKey)
    this.hashBlock(keys, at, at, { tokens: codes, start: 0, length: codes.length })
  }

  hashBlock(keys: Int32Array, before: number, at: number, block: TokenRange): void {
    const secrets = this.#secrets
    const tokens = block.tokens.slice(block.start, block.start + block.length)
    const [a, b, c, d] = [keys[before]!, keys[before + 1]!, keys[before + 2]!, keys[before + 3]!]
    for (let lane = 0; lane < 2; lane += 1) {
      const state = start(secrets[2 * lane]!, secrets[2 * lane + 1]!)
      absorb(state, a)
      absorb(state, b)
      absorb(state, c)
      absorb(state, d)
      for (let index = 0; index < tokens.length; index += 1) absorb(state, tokens[index]!)
      finish(state, block.length, keys, at + 2 * lane)
    }
  }
}

export interface TokenRange {
  readonly tokens: TokenList
  readonly start: number
  readonly length: number
}

interface State {
  v0: number
  v1: number
  v2: number
  v3: number
}

function start(k0: number, k1: number): State {
  return { v0: k0, v1: k1 ^ 0xee, v2: k0 ^ 0x6c796765, v3: k1 ^ 0x74656462 }
}

function absorb(state: State, word: number): void {
  state.v3 ^= word
  round(state)
  state.v0 ^= word
}

function finish(state: State, length: number, keys: Int32Array, at: number): void {
  absorb(state, length)
  state.v2 ^= 0xee
  for (let count = 0; count < 3; count += 1) round(state)
  keys[at] = state.v1 ^ state.v3
  state.v1 ^= 0xdd
  for (let count = 0; count < 3; count += 1) round(state)
  keys[at + 1] = state.v1 ^ state.v3
}

function round(state: State): void {
  let { v0, v1, v2, v3 } = state
  v0 = (v0 + v1) | 0
  v1 = rotate(v1, 5) ^ v0
  v0 = rotate(v0, 16)
  v2 = (v2 + v3) | 0
  v3 = rotate(v3, 8) ^ v2
  v0 = (v0 + v3) | 0
  v3 = rotate(v3, 7) ^ v0
  v2 = (v2 + v1) | 0
  v1 = rotate(v1, 13) ^ v2
  v2 = rotate(v2, 16)
  state.v0 = v0
  state.v1 = v1
  state.v2 = v2
  state.v3 = v3
}

const rotate = (value: number, bits: number) => (value << bits) | (value >>> (32 - bits))
