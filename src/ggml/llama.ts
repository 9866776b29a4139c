/**
 * A model file opened by libllama, and its vocabulary. With `vocabOnly` no weights are read: that is the tokenizer.
 * Running a whole model through libllama: `llama-context.ts`.
 */
import { existsSync } from 'node:fs'

import { invariant, ServingError } from '../core/errors.ts'
import { modelParams } from './layouts.ts'
import type { GgmlLibraries } from './library.ts'
import { llamaFunctions, type LlamaFunctions, type Pointer } from './llama-functions.ts'

export interface LlamaModelOptions {
  /** Read the vocabulary and metadata only. */
  readonly vocabOnly?: boolean
  /** Convert weights to the CPU's own layouts while loading (libllama's default). */
  readonly repack?: boolean
  /** Layers on the accelerator; -1 means all. */
  readonly gpuLayers?: number
}

/** Bits of a token's attributes (`enum llama_token_attr`). */
export const tokenAttribute = { unknown: 1, control: 8, userDefined: 16, stripsLeft: 128 } as const

/** How a vocabulary cuts words (`enum llama_vocab_type`); others exist. */
export const vocabType = { none: 0, sentencePiece: 1, bytePairs: 2 } as const

/** Owns one `llama_model`. Close contexts made from it first. */
export class LlamaModel {
  readonly functions: LlamaFunctions
  readonly vocab: LlamaVocab
  #handle: Pointer | null

  /** @throws {ServingError} INVALID_MODEL when the file is missing or libllama refuses it. */
  constructor(libraries: GgmlLibraries, path: string, options: LlamaModelOptions = {}) {
    this.functions = llamaFunctions(libraries)
    if (!existsSync(path)) throw new ServingError('INVALID_MODEL', `There is no model file ${path}`)
    this.#handle = this.functions.modelLoad(path, modelParameters(this.functions, options))
    if (this.#handle === null) {
      throw new ServingError(
        'INVALID_MODEL',
        `libllama cannot load ${path}. SWITCHYARD_GGML_LOG=1 shows its reasons.`,
      )
    }
    this.vocab = new LlamaVocab(this.functions, this.functions.modelVocab(this.#handle))
  }

  get handle(): Pointer {
    invariant(this.#handle !== null, 'The model is closed')
    return this.#handle
  }

  /** The Jinja template in the file, if any. */
  get chatTemplate(): string | undefined {
    return this.functions.modelChatTemplate(this.handle, null) ?? undefined
  }

  /** Tokens the model was trained on in one piece. */
  get contextLength(): number {
    return this.functions.modelContextLength(this.handle)
  }

  /** A scalar metadata value as text; undefined when the key is absent or an array. */
  metadata(key: string): string | undefined {
    const length = this.functions.modelMetadata(this.handle, key, null, 0)
    if (length < 0) return undefined
    const buffer = new Uint8Array(length + 1)
    this.functions.modelMetadata(this.handle, key, buffer, buffer.length)
    return new TextDecoder().decode(buffer.subarray(0, length))
  }

  close(): void {
    if (this.#handle !== null) this.functions.modelFree(this.#handle)
    this.#handle = null
    this.vocab.detach()
  }
}

function modelParameters(functions: LlamaFunctions, options: LlamaModelOptions): { words: BigUint64Array } {
  const { words } = functions.modelDefaultParams()
  const view = new DataView(words.buffer, words.byteOffset, modelParams.size)
  if (options.vocabOnly !== undefined) view.setUint8(modelParams.vocabOnly, Number(options.vocabOnly))
  if (options.repack !== undefined) view.setUint8(modelParams.useExtraBufts, Number(options.repack))
  if (options.gpuLayers !== undefined) view.setInt32(modelParams.gpuLayers, options.gpuLayers, true)
  return { words }
}

/** Tokenisation by libllama: bytes to token ids, token id to bytes. Lives as long as its model is open. */
export class LlamaVocab {
  readonly size: number
  /** See `vocabType`. */
  readonly type: number
  /** Token ids, or -1 where the vocabulary has none. */
  readonly bos: number
  readonly eos: number
  readonly eot: number
  readonly addsBos: boolean
  readonly addsEos: boolean
  readonly #functions: LlamaFunctions
  #handle: Pointer | null
  #piece = new Uint8Array(new ArrayBuffer(256))

  constructor(functions: LlamaFunctions, handle: Pointer) {
    this.#functions = functions
    this.#handle = handle
    this.size = functions.vocabSize(handle)
    this.type = functions.vocabType(handle)
    this.bos = functions.vocabBos(handle)
    this.eos = functions.vocabEos(handle)
    this.eot = functions.vocabEot(handle)
    this.addsBos = functions.vocabAddBos(handle)
    this.addsEos = functions.vocabAddEos(handle)
  }

  /** Whether the token ends a turn or a text. */
  isEndOfGeneration(token: number): boolean {
    return this.#functions.vocabIsEog(this.#open(), this.#checked(token))
  }

  /** Bits of `tokenAttribute`. */
  attributes(token: number): number {
    return this.#functions.vocabAttributes(this.#open(), this.#checked(token))
  }

  /** The token as the file spells it: for special tokens the text that stands for them. */
  text(token: number): string {
    return this.#functions.vocabText(this.#open(), this.#checked(token))
  }

  /** Token ids of UTF-8 text (NUL bytes allowed). */
  tokenize(utf8: Uint8Array, addSpecial: boolean, parseSpecial: boolean): Int32Array {
    // Hardly any vocabulary makes more tokens than bytes, so a second call is the exception.
    let tokens = new Int32Array(utf8.length + 16)
    let count = this.#tokenizeInto(utf8, tokens, addSpecial, parseSpecial)
    if (count < 0 && count > -2_147_483_648) {
      tokens = new Int32Array(-count)
      count = this.#tokenizeInto(utf8, tokens, addSpecial, parseSpecial)
    }
    invariant(count >= 0, `libllama cannot tokenise ${utf8.length} bytes (status ${count})`)
    return tokens.subarray(0, count)
  }

  /** A copy of the bytes of one token; control tokens are empty unless `special`. */
  piece(token: number, special: boolean): Uint8Array {
    this.#checked(token)
    let length = this.#functions.tokenToPiece(
      this.#open(),
      token,
      this.#piece,
      this.#piece.length,
      0,
      special,
    )
    if (length < 0) {
      this.#piece = new Uint8Array(new ArrayBuffer(-length))
      length = this.#functions.tokenToPiece(this.#open(), token, this.#piece, this.#piece.length, 0, special)
    }
    return this.#piece.slice(0, length)
  }

  /** The model is gone: every later call is a bug, not a crash. */
  detach(): void {
    this.#handle = null
  }

  #tokenizeInto(utf8: Uint8Array, tokens: Int32Array, addSpecial: boolean, parseSpecial: boolean): number {
    const { tokenize } = this.#functions
    return tokenize(this.#open(), utf8, utf8.length, tokens, tokens.length, addSpecial, parseSpecial)
  }

  /** libllama ends the process on an id outside the vocabulary. */
  #checked(token: number): number {
    invariant(Number.isInteger(token) && token >= 0 && token < this.size, `There is no token ${token}`)
    return token
  }

  #open(): Pointer {
    invariant(this.#handle !== null, 'The vocabulary is closed')
    return this.#handle
  }
}
