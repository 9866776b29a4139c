/** One sequence's way through a grammar, token by token. */
import { grammarError } from './grammar-error.ts'
import { invariant } from '../core/errors.ts'
import type { CompiledGrammar } from './compiled-grammar.ts'
import type { MatcherState } from './matcher-state.ts'
import type { TokenMask } from './token-mask.ts'

export class GrammarMatcher {
  readonly #grammar: CompiledGrammar
  /** After each token so far; undefined: behind an end token. */
  readonly #history: (MatcherState | undefined)[]

  constructor(grammar: CompiledGrammar) {
    this.#grammar = grammar
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
    const mask = state === undefined ? this.#grammar.vocabulary.endMask : this.#grammar.mask(state)
    if (mask.count === 0) throw grammarError('the vocabulary has no token that may follow')
    return mask
  }

  /** Takes a token; false, and nothing has changed, when it may not follow. */
  accept(tokenId: number): boolean {
    const state = this.#history.at(-1)
    const { endTokens, trie } = this.#grammar.vocabulary
    if (endTokens.has(tokenId)) {
      if (!this.isComplete) return false
      this.#history.push(undefined)
      return true
    }
    const bytes = trie.pieces[tokenId]
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
}
