import type { TokenList } from '../core/token-list.ts'
import { wordsPerKey, type BlockHasher } from './prefix-hasher.ts'

/**
 * The keys of one sequence's full blocks, each made once, when it is first asked for. Block 0 is behind the key of
 * the namespace: sequences of different namespaces have no key in common.
 */
export class PrefixKeys {
  readonly tokens: TokenList
  /** The key of the namespace, as text. */
  readonly root: string
  readonly #hasher: BlockHasher
  readonly #blockSize: number
  /** Key -1 (the namespace), key 0, key 1, ... */
  #words: Int32Array
  #numKeys = 0

  /** `tokens` may grow later, and may not change otherwise. */
  constructor(hasher: BlockHasher, blockSize: number, namespace: string, tokens: TokenList) {
    this.tokens = tokens
    this.#hasher = hasher
    this.#blockSize = blockSize
    this.#words = new Int32Array(wordsPerKey * (Math.ceil(tokens.length / blockSize) + 2))
    hasher.hashNamespace(namespace, this.#words, 0)
    this.root = this.#words.subarray(0, wordsPerKey).join()
  }

  /** Full blocks of the tokens so far. */
  get numBlocks(): number {
    return Math.floor(this.tokens.length / this.#blockSize)
  }

  /** Where key `block` lies in `words`; it must be the key of a full block. */
  offsetOf(block: number): number {
    this.#extend(block + 1)
    return wordsPerKey * (block + 1)
  }

  /** Valid until the next `offsetOf`. */
  get words(): Int32Array {
    return this.#words
  }

  /** Whether everything up to and including block `block` is the same; both must have that block in full. */
  sharesBlock(other: PrefixKeys, block: number): boolean {
    if (block >= this.numBlocks || block >= other.numBlocks) return false
    const at = this.offsetOf(block)
    other.offsetOf(block)
    for (let index = at; index < at + wordsPerKey; index += 1) {
      if (this.#words[index] !== other.#words[index]) return false
    }
    return true
  }

  #extend(numKeys: number): void {
    if (numKeys <= this.#numKeys) return
    if (wordsPerKey * (numKeys + 1) > this.#words.length) {
      const words = new Int32Array(wordsPerKey * (numKeys + (numKeys >> 1) + 2))
      words.set(this.#words)
      this.#words = words
    }
    for (let block = this.#numKeys; block < numKeys; block += 1) {
      const range = { tokens: this.tokens, start: block * this.#blockSize, length: this.#blockSize }
      this.#hasher.hashBlock(this.#words, wordsPerKey * block, wordsPerKey * (block + 1), range)
    }
    this.#numKeys = numKeys
  }
}
