/** The vocabulary that grammars of an engine are kept to in. */
import type { ExecutorModel } from '../executor/executor.ts'
import type { ExecutorOptions } from '../executor/executor-options.ts'
import { openLibraries } from '../ggml/library.ts'
import type { GrammarVocabulary } from '../grammar/grammar-engine.ts'
import { specialPiece } from '../grammar/special-piece.ts'
import { openLlamaTokenizer } from '../text/llama-tokenizer.ts'
import type { Tokenizer } from '../text/tokenizer.ts'

const noText = new Uint8Array(0)

/**
 * The bytes of the model's tokens; those of a model that is none are bytes themselves, as far as bytes go.
 * @throws {ServingError} INVALID_MODEL when the file has no vocabulary.
 */
export function grammarVocabulary(options: ExecutorOptions, model: ExecutorModel): GrammarVocabulary {
  const { vocabSize, endTokenIds } = model
  if (options.kind === 'fake') {
    const pieces = Array.from({ length: vocabSize }, (_, id) => (id < 256 ? Uint8Array.of(id) : noText))
    return { pieces, endTokenIds }
  }
  const tokenizer = openLlamaTokenizer(options.modelPath, openLibraries({ device: options.device }))
  // A model may have more rows of logits than its vocabulary has tokens.
  const pieces = Array.from({ length: vocabSize }, (_, id) =>
    id < tokenizer.vocabSize ? pieceOf(tokenizer, id) : noText,
  )
  tokenizer.close()
  return { pieces, endTokenIds }
}

function pieceOf(tokenizer: Tokenizer, id: number): Uint8Array {
  const piece = tokenizer.pieceBytes(id)
  if (piece.length > 0) return piece
  const special = tokenizer.decode([id], true)
  return special === '' ? noText : specialPiece(special)
}
