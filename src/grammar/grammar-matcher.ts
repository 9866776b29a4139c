/** One sequence's way through a grammar, token by token. */
import { grammarError } from './grammar-error.ts'
import { invariant } from '../core/errors.ts'
import type { CompiledGrammar } from './compiled-grammar.ts'
import type { MatcherState } from './matcher-state.ts'
import { toTokenMask, type TokenMask } from './token-mask.ts'

export class GrammarMatcher {
  readonly #grammar: CompiledGrammar
  /** Tokens that end a sequence: they stand for no text, and may come where a text may end. */
  readonly #endTokens: ReadonlySet<number>
  /** After each token so far; undefined: behind an end token. */
  readonly #history: (MatcherState | undefined)[]

  constructor(grammar: CompiledGrammar, endTokens: ReadonlySet<number>) {
    this.#grammar = grammar
    this.#endTokens = endTokens
    this.#history = [grammar.start]
  }

  /** A text may end here. */
  get isComplete(): boolean {
    const state = this.#history.at(-1)
    return state === undefined || state.isComplete
  }

  get numTokens(): number {
    return this.#history.length - 1
  }

  /**
   * Which tokens may follow: at least one.
   * @throws {ServingError} INVALID_REQUEST when it takes too long to say, or the vocabulary cannot spell what follows.
   */
  mask(): TokenMask {
    const state = this.#history.at(-1)
    const mask = state === undefined ? undefined : this.#grammar.mask(state)
    const withEnd = this.isComplete ? this.#withEnd(mask) : mask!
    if (withEnd.count === 0) throw grammarError('the vocabulary has no token that may follow')
    return withEnd
  }

  /** Takes a token; false, and nothing has changed, when it may not follow. */
  accept(tokenId: number): boolean {
    const state = this.#history.at(-1)
    if (this.#endTokens.has(tokenId)) {
      if (!this.isComplete) return false
      this.#history.push(undefined)
      return true
    }
    const bytes = this.#grammar.trie.pieces[tokenId]
    if (state === undefined || bytes === undefined || bytes.length === 0) return false
    const next = this.#grammar.advance(state, bytes)
    if (next === undefined) return false
    this.#history.push(next)
    return true
  }

  /** Takes the last tokens back. */
  rollback(numTokens: number): void {
    invariant(numTokens <= this.numTokens, `${numTokens} of ${this.numTokens} tokens cannot be taken back`)
    this.#history.length -= numTokens
  }

  #withEnd(mask: TokenMask | undefined): TokenMask {
    const { vocabSize } = this.#grammar.trie
    const bits = mask === undefined ? new Uint32Array(Math.ceil(vocabSize / 32)) : mask.bits.slice()
    for (const id of this.#endTokens) if (id < vocabSize) bits[id >>> 5]! |= 1 << (id & 31)
    return toTokenMask(bits, vocabSize)
  }
}
