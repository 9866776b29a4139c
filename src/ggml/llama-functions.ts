/** The functions of libllama that the project calls, bound once per library. Pointers are addresses (bigint). */
import type { LibraryHandle } from 'koffi'

import { batchStruct, byteStruct, contextParams, modelParams } from './layouts.ts'
import type { GgmlLibraries } from './library.ts'

/** An address in this process; 0n or null means none. */
export type Pointer = bigint

/** A struct by value, as 64-bit words (see `byteStruct`). */
export interface StructWords {
  readonly words: BigUint64Array
}

export interface LlamaFunctions {
  modelDefaultParams(): StructWords
  contextDefaultParams(): StructWords
  modelLoad(path: string, params: StructWords): Pointer | null
  modelFree(model: Pointer): void
  modelVocab(model: Pointer): Pointer
  modelChatTemplate(model: Pointer, name: string | null): string | null
  modelMetadata(model: Pointer, key: string, buffer: Uint8Array | null, size: number): number
  modelContextLength(model: Pointer): number
  vocabSize(vocab: Pointer): number
  vocabType(vocab: Pointer): number
  vocabBos(vocab: Pointer): number
  vocabEos(vocab: Pointer): number
  vocabEot(vocab: Pointer): number
  vocabAddBos(vocab: Pointer): boolean
  vocabAddEos(vocab: Pointer): boolean
  vocabIsEog(vocab: Pointer, token: number): boolean
  vocabAttributes(vocab: Pointer, token: number): number
  vocabText(vocab: Pointer, token: number): string
  tokenize: Tokenize
  tokenToPiece: TokenToPiece
  contextInit(model: Pointer, params: StructWords): Pointer | null
  contextFree(context: Pointer): void
  contextSize(context: Pointer): number
  contextMemory(context: Pointer): Pointer
  memoryClear(memory: Pointer, data: boolean): void
  memorySeqRm(memory: Pointer, sequence: number, from: number, to: number): boolean
  memorySeqCp(memory: Pointer, source: number, target: number, from: number, to: number): void
  setNumThreads(context: Pointer, single: number, batch: number): void
  decode: Decode
  logitsOf(context: Pointer, batchIndex: number): Pointer | null
}

type Tokenize = (
  vocab: Pointer,
  text: Uint8Array,
  textLength: number,
  tokens: Int32Array,
  maxTokens: number,
  addSpecial: boolean,
  parseSpecial: boolean,
) => number

type TokenToPiece = (
  vocab: Pointer,
  token: number,
  buffer: Uint8Array,
  size: number,
  leadingSpaces: number,
  special: boolean,
) => number

/** `async` runs on a thread of koffi's pool; the caller keeps batch and context alive and unused meanwhile. */
type Decode = ((context: Pointer, batch: StructWords) => number) & {
  async(context: Pointer, batch: StructWords, done: (error: unknown, status: number) => void): void
}

const bound = new WeakMap<GgmlLibraries, LlamaFunctions>()

/** The bindings for these libraries; opens libllama on first use. */
export function llamaFunctions(libraries: GgmlLibraries): LlamaFunctions {
  let functions = bound.get(libraries)
  if (functions === undefined) {
    functions = bind(libraries.llama)
    bound.set(libraries, functions)
  }
  return functions
}

function bind(llama: LibraryHandle): LlamaFunctions {
  const modelStruct = byteStruct(modelParams.size)
  const contextStruct = byteStruct(contextParams.size)
  const pointer = 'void *'
  llama.func('llama_backend_init', 'void', [])()
  return {
    modelDefaultParams: llama.func('llama_model_default_params', modelStruct, []),
    contextDefaultParams: llama.func('llama_context_default_params', contextStruct, []),
    modelLoad: llama.func('llama_model_load_from_file', pointer, ['str', modelStruct]),
    modelFree: llama.func('llama_model_free', 'void', [pointer]),
    modelVocab: llama.func('llama_model_get_vocab', pointer, [pointer]),
    modelChatTemplate: llama.func('llama_model_chat_template', 'str', [pointer, 'str']),
    modelMetadata: llama.func('llama_model_meta_val_str', 'int32_t', [pointer, 'str', pointer, 'size_t']),
    modelContextLength: llama.func('llama_model_n_ctx_train', 'int32_t', [pointer]),
    ...bindVocab(llama),
    contextInit: llama.func('llama_init_from_model', pointer, [pointer, contextStruct]),
    contextFree: llama.func('llama_free', 'void', [pointer]),
    contextSize: llama.func('llama_n_ctx', 'uint32_t', [pointer]),
    contextMemory: llama.func('llama_get_memory', pointer, [pointer]),
    memoryClear: llama.func('llama_memory_clear', 'void', [pointer, 'bool']),
    memorySeqRm: llama.func('llama_memory_seq_rm', 'bool', [pointer, 'int32_t', 'int32_t', 'int32_t']),
    memorySeqCp: llama.func('llama_memory_seq_cp', 'void', [
      pointer,
      'int32_t',
      'int32_t',
      'int32_t',
      'int32_t',
    ]),
    setNumThreads: llama.func('llama_set_n_threads', 'void', [pointer, 'int32_t', 'int32_t']),
    decode: llama.func('llama_decode', 'int32_t', [
      pointer,
      byteStruct(batchStruct.size),
    ]) as unknown as Decode,
    logitsOf: llama.func('llama_get_logits_ith', pointer, [pointer, 'int32_t']),
  }
}

function bindVocab(llama: LibraryHandle) {
  const pointer = 'void *'
  const tokenOf = (name: string) => llama.func(name, 'int32_t', [pointer])
  return {
    vocabSize: llama.func('llama_vocab_n_tokens', 'int32_t', [pointer]),
    vocabType: llama.func('llama_vocab_type', 'int', [pointer]),
    vocabBos: tokenOf('llama_vocab_bos'),
    vocabEos: tokenOf('llama_vocab_eos'),
    vocabEot: tokenOf('llama_vocab_eot'),
    vocabAddBos: llama.func('llama_vocab_get_add_bos', 'bool', [pointer]),
    vocabAddEos: llama.func('llama_vocab_get_add_eos', 'bool', [pointer]),
    vocabIsEog: llama.func('llama_vocab_is_eog', 'bool', [pointer, 'int32_t']),
    vocabAttributes: llama.func('llama_vocab_get_attr', 'int', [pointer, 'int32_t']),
    vocabText: llama.func('llama_vocab_get_text', 'str', [pointer, 'int32_t']),
    tokenize: llama.func('llama_tokenize', 'int32_t', [
      pointer,
      pointer,
      'int32_t',
      pointer,
      'int32_t',
      'bool',
      'bool',
    ]) as unknown as Tokenize,
    tokenToPiece: llama.func('llama_token_to_piece', 'int32_t', [
      pointer,
      'int32_t',
      pointer,
      'int32_t',
      'int32_t',
      'bool',
    ]) as unknown as TokenToPiece,
  }
}
