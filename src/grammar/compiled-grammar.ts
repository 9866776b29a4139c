/**
 * A grammar over the tokens of one vocabulary, shared by all sequences that keep to it. Nothing is computed before a
 * text needs it: a mask is found by walking the vocabulary's bytes through the grammar, and kept with the place in
 * the grammar that it belongs to. The walk of a token trie under a lazily built automaton is llguidance's way.
 */
import { grammarError } from './grammar-error.ts'
import { buildAutomaton } from './automaton.ts'
import { StateSpace, type MatcherState } from './matcher-state.ts'
import type { MaskStore } from './mask-store.ts'
import type { Grammar } from './node.ts'
import { setBit, toTokenMask, type TokenMask } from './token-mask.ts'
import type { TokenTrie } from './token-trie.ts'

export interface IndexedVocabulary {
  readonly trie: TokenTrie
  /** Tokens that end a text, and stand for none. */
  readonly endTokens: ReadonlySet<number>
  /** Those alone: what may follow an end. */
  readonly endMask: TokenMask
}

/** Threads that may be looked at for one mask: what takes more stalls everybody's step. */
const maxMaskWork = 4_000_000

export class CompiledGrammar {
  readonly vocabulary: IndexedVocabulary
  readonly #space: StateSpace
  readonly #store: MaskStore
  readonly #path: MatcherState[] = []

  /** @throws {ServingError} INVALID_REQUEST for a grammar that cannot be kept to. */
  constructor(grammar: Grammar, vocabulary: IndexedVocabulary, store: MaskStore) {
    this.#space = new StateSpace(buildAutomaton(grammar))
    this.vocabulary = vocabulary
    this.#store = store
  }

  get start(): MatcherState {
    return this.#space.start
  }

  /** Where a token's bytes lead; undefined when they may not follow. @throws {ServingError} INVALID_REQUEST. */
  advance(from: MatcherState, bytes: Uint8Array): MatcherState | undefined {
    let state = from
    for (const byte of bytes) {
      const next = this.#space.step(state, this.#space.classOf[byte]!)
      if (next === null) return undefined
      state = next
    }
    return state
  }

  /** Tokens that may follow, end tokens among them where a text may end. @throws {ServingError} INVALID_REQUEST when it takes too long to say. */
  mask(state: MatcherState): TokenMask {
    if (state.mask === undefined) {
      const { trie, endTokens } = this.vocabulary
      const bits = this.#walk(state)
      if (state.isComplete) for (const id of endTokens) setBit(bits, id)
      state.mask = toTokenMask(bits, trie.vocabSize)
      this.#store.add(state)
    }
    return state.mask
  }

  #walk(start: MatcherState): Uint32Array {
    const { bytes, depths, skips, tokens, others, vocabSize } = this.vocabulary.trie
    const { classOf } = this.#space
    const bits = new Uint32Array(Math.ceil(vocabSize / 32))
    const path = this.#path
    const limit = this.#space.work + maxMaskWork
    path[0] = start
    for (let node = 0; node < bytes.length;) {
      const depth = depths[node]!
      const before = path[depth - 1]!
      const byteClass = classOf[bytes[node]!]!
      let state = before.next[byteClass]
      if (state === undefined) state = this.#step(before, byteClass, limit)
      if (state === null) {
        node = skips[node]!
        continue
      }
      path[depth] = state
      for (let id = tokens[node]!; id >= 0; id = others[id]!) setBit(bits, id)
      node += 1
    }
    return bits
  }

  #step(before: MatcherState, byteClass: number, limit: number): MatcherState | null {
    if (this.#space.work > limit) throw grammarError('it can be read in too many ways')
    return this.#space.step(before, byteClass)
  }
}
