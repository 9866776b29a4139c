/**
 * The `Tokenizer` over libllama: the same tokens as llama.cpp for the same file. Reads no weights. It lives on the
 * JavaScript thread; a call takes about 0.2 ms per thousand characters.
 */
import { ServingError } from '../core/errors.ts'
import { openLibraries, type GgmlLibraries } from '../ggml/library.ts'
import { LlamaModel, tokenAttribute, vocabType, type LlamaVocab } from '../ggml/llama.ts'
import { specialsPattern, textPieces, type PieceRules } from './text-pieces.ts'
import type { Tokenizer } from './tokenizer.ts'

/**
 * Opens the tokenizer in a GGUF file. It needs no accelerator; a process that will also run the model on one passes
 * the libraries for that, because a process opens one build only.
 * @throws {ServingError} INVALID_MODEL when the file has none, LIBRARY_NOT_FOUND or LIBRARY_MISMATCH.
 */
export function openLlamaTokenizer(path: string, libraries?: GgmlLibraries): LlamaTokenizer {
  return new LlamaTokenizer(
    new LlamaModel(libraries ?? openLibraries({ device: 'cpu' }), path, { vocabOnly: true }),
  )
}

/**
 * SentencePiece puts a space in front of a text. A piece that continues one must not get it, so it is tokenised behind
 * a line break, which merges with nothing, and the tokens of that are dropped.
 */
const anchor = '\n'

export class LlamaTokenizer implements Tokenizer {
  readonly vocabSize: number
  readonly endTokenIds: readonly number[]
  readonly bosText: string
  readonly eosText: string
  readonly chatTemplate: string | undefined
  /** What `addSpecial` puts around a text. */
  readonly #before: readonly number[]
  readonly #after: readonly number[]
  readonly #model: LlamaModel
  readonly #rules: { readonly plain: PieceRules; readonly special: PieceRules }
  /** Tokens of `anchor` where pieces after the first need one. */
  readonly #anchorTokens: readonly number[] | undefined
  /** Bytes of tokens seen so far, and the same with special tokens spelled out. */
  readonly #pieces: Map<number, Uint8Array> = new Map()
  readonly #specialPieces: Map<number, Uint8Array> = new Map()

  /** Takes ownership of the model. */
  constructor(model: LlamaModel) {
    const { vocab } = model
    this.#model = model
    this.vocabSize = vocab.size
    // libllama ends the process when it is asked to tokenise without a vocabulary, even if it counts dummy tokens.
    if (this.vocabSize === 0 || vocab.type === vocabType.none) {
      model.close()
      throw new ServingError('INVALID_MODEL', 'The model file has no vocabulary')
    }
    this.endTokenIds = tokenIds(vocab).filter((token) => vocab.isEndOfGeneration(token))
    this.bosText = specialText(vocab, vocab.bos)
    this.eosText = specialText(vocab, vocab.eos)
    this.chatTemplate = model.chatTemplate
    const frame = [...vocab.tokenize(new Uint8Array(0), true, false)]
    const numBefore = vocab.addsBos && frame[0] === vocab.bos ? 1 : 0
    this.#before = frame.slice(0, numBefore)
    this.#after = frame.slice(numBefore)
    this.#rules = pieceRules(model)
    this.#anchorTokens =
      vocab.type === vocabType.sentencePiece
        ? [...vocab.tokenize(Buffer.from(anchor), false, false)]
        : undefined
  }

  encode(text: string, options: { addSpecial: boolean; parseSpecial: boolean }): number[] {
    const pieces = textPieces(text, options.parseSpecial ? this.#rules.special : this.#rules.plain)
    const tokens = options.addSpecial ? [...this.#before] : []
    for (const [index, piece] of pieces.entries()) {
      for (const token of this.#encodePiece(piece, index > 0, options.parseSpecial)) tokens.push(token)
    }
    if (options.addSpecial) tokens.push(...this.#after)
    return tokens
  }

  /**
   * The array is shared between calls: do not write to it.
   * @throws {ServingError} INVALID_REQUEST for an id outside the vocabulary.
   */
  pieceBytes(tokenId: number, special = false): Uint8Array {
    const cache = special ? this.#specialPieces : this.#pieces
    let bytes = cache.get(tokenId)
    if (bytes === undefined) {
      this.#requireToken(tokenId)
      bytes = this.#model.vocab.piece(tokenId, special)
      cache.set(tokenId, bytes)
    }
    return bytes
  }

  /** The pieces of the tokens one after another, as a stream of them shows; a leading space stays. */
  decode(tokenIds: readonly number[], special = false): string {
    const pieces = tokenIds.map((token) => this.pieceBytes(token, special))
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(pieces))
  }

  close(): void {
    this.#model.close()
  }

  #encodePiece(piece: string, continues: boolean, parseSpecial: boolean): Int32Array {
    const { vocab } = this.#model
    const lead = this.#anchorTokens
    if (!continues || lead === undefined) return vocab.tokenize(Buffer.from(piece), false, parseSpecial)
    const tokens = vocab.tokenize(Buffer.from(anchor + piece), false, parseSpecial)
    if (lead.every((token, index) => tokens[index] === token)) return tokens.subarray(lead.length)
    return vocab.tokenize(Buffer.from(piece), false, parseSpecial)
  }

  #requireToken(tokenId: number): void {
    if (Number.isInteger(tokenId) && tokenId >= 0 && tokenId < this.vocabSize) return
    throw new ServingError(
      'INVALID_REQUEST',
      `There is no token ${tokenId} in a vocabulary of ${this.vocabSize}`,
    )
  }
}

function tokenIds(vocab: LlamaVocab): number[] {
  return Array.from({ length: vocab.size }, (_, token) => token)
}

function specialText(vocab: LlamaVocab, token: number): string {
  return token < 0 ? '' : new TextDecoder().decode(vocab.piece(token, true))
}

/**
 * Pre-tokenizers that libllama 0.5.0 runs with hand-written code (`unicode_regex_split_custom`), which is linear and
 * does not recurse. All others go through `std::regex`.
 */
const linearPreTokenizers = new Set(
  (
    'chatglm-bpe dbrx deepseek-r1-qwen exaone4 falcon-h1 falcon3 gemma4 gigachat glm4 gpt-2 granite-docling ' +
    'grok-2 hunyuan jais kimi-k2 laguna lfm2 llama-bpe llama-v3 llama3 megrez mellum ' +
    'midm-2.0 modern-bert mpt olmo phi-2 pixtral qwen2 qwen35 sarvam-moe smaug-bpe solar-open ' +
    'stablelm2 trillion'
  ).split(' '),
)

function pieceRules(model: LlamaModel): { plain: PieceRules; special: PieceRules } {
  const { vocab } = model
  const recursive = vocab.type === vocabType.bytePairs && !linearPreTokenizers.has(preTokenizer(model))
  const bounded = recursive || vocab.type === vocabType.sentencePiece
  const { control, unknown, userDefined } = tokenAttribute
  return {
    // Text is searched for user-defined tokens even where special tokens are not parsed.
    plain: { bounded, specials: specialsPattern(specialTexts(vocab, userDefined)) },
    special: { bounded, specials: specialsPattern(specialTexts(vocab, control | unknown | userDefined)) },
  }
}

function preTokenizer(model: LlamaModel): string {
  return model.metadata('tokenizer.ggml.pre') ?? ''
}

/** Tokens that swallow the space before them are left out: a cut in front of them would keep that space. */
function specialTexts(vocab: LlamaVocab, wanted: number): string[] {
  return tokenIds(vocab)
    .filter((token) => {
      const attributes = vocab.attributes(token)
      return (attributes & wanted) !== 0 && (attributes & tokenAttribute.stripsLeft) === 0
    })
    .map((token) => vocab.text(token))
}
