/**
 * Grammars over one vocabulary: compiled once for each content, forgotten when others were used since. Lives where
 * tokens are chosen. See `docs/structured-output.md`.
 */
import type { GrammarSpec } from '../core/grammar-spec.ts'
import { CompiledGrammar, type IndexedVocabulary } from './compiled-grammar.ts'
import { GrammarMatcher } from './grammar-matcher.ts'
import { MaskStore } from './mask-store.ts'
import { readSpec } from './read-spec.ts'
import { setBit, toTokenMask } from './token-mask.ts'
import { buildTokenTrie } from './token-trie.ts'

export interface GrammarVocabulary {
  /** The bytes of each token; empty for those that stand for no text. */
  readonly pieces: readonly Uint8Array[]
  readonly endTokenIds: readonly number[]
}

const maxGrammars = 256
const maxMaskBytes = 64 * 2 ** 20

export class GrammarEngine {
  readonly #vocabulary: IndexedVocabulary
  readonly #masks = new MaskStore(maxMaskBytes)
  /** By content; the one used last comes last. */
  readonly #compiled = new Map<string, CompiledGrammar>()

  constructor({ pieces, endTokenIds }: GrammarVocabulary) {
    const endTokens = new Set(endTokenIds.filter((id) => id < pieces.length))
    const trie = buildTokenTrie(pieces.map((piece, id) => (endTokens.has(id) ? new Uint8Array(0) : piece)))
    const bits = new Uint32Array(Math.ceil(pieces.length / 32))
    for (const id of endTokens) setBit(bits, id)
    this.#vocabulary = { trie, endTokens, endMask: toTokenMask(bits, pieces.length) }
  }

  /** @throws {ServingError} INVALID_REQUEST for what cannot be kept to, naming it. */
  compile(spec: GrammarSpec): CompiledGrammar {
    const key = JSON.stringify(spec)
    const compiled =
      this.#compiled.get(key) ?? new CompiledGrammar(readSpec(spec), this.#vocabulary, this.#masks)
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
    return new GrammarMatcher(this.compile(spec))
  }
}
