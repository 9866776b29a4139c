/**
 * Grammars over one vocabulary: compiled once for each content, forgotten when others were used since. Lives where
 * tokens are chosen. See `docs/structured-output.md`.
 */
import type { GrammarSpec } from '../core/grammar-spec.ts'
import { CompiledGrammar } from './compiled-grammar.ts'
import { GrammarMatcher } from './grammar-matcher.ts'
import { MaskStore } from './mask-store.ts'
import { readSpec } from './read-spec.ts'
import { buildTokenTrie, type TokenTrie } from './token-trie.ts'

export interface GrammarVocabulary {
  /** The bytes of each token; empty for those that stand for no text. */
  readonly pieces: readonly Uint8Array[]
  readonly endTokenIds: readonly number[]
}

const maxGrammars = 256
const maxMaskBytes = 64 * 2 ** 20

export class GrammarEngine {
  readonly #trie: TokenTrie
  readonly #endTokens: ReadonlySet<number>
  readonly #masks = new MaskStore(maxMaskBytes)
  /** By content; the one used last comes last. */
  readonly #compiled = new Map<string, CompiledGrammar>()

  constructor({ pieces, endTokenIds }: GrammarVocabulary) {
    this.#trie = buildTokenTrie(pieces)
    this.#endTokens = new Set(endTokenIds)
  }

  /** @throws {ServingError} INVALID_REQUEST for what cannot be kept to, naming it. */
  compile(spec: GrammarSpec): CompiledGrammar {
    const key = JSON.stringify(spec)
    const compiled = this.#compiled.get(key) ?? new CompiledGrammar(readSpec(spec), this.#trie, this.#masks)
    this.#compiled.delete(key)
    this.#compiled.set(key, compiled)
    for (const oldest of this.#compiled.keys()) {
      if (this.#compiled.size <= maxGrammars) break
      this.#compiled.delete(oldest)
    }
    return compiled
  }

  /** For one sequence. @throws {ServingError} INVALID_REQUEST. */
  matcher(spec: GrammarSpec): GrammarMatcher {
    return new GrammarMatcher(this.compile(spec), this.#endTokens)
  }
}
