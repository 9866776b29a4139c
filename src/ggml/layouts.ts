/**
 * Proves at load time that a library is the build these bindings were written for (llama.cpp 0.5.0, ggml 0.25.1):
 * versions, type and operator numbers, struct sizes and default values. A binding for another layout corrupts memory
 * silently, so every doubt is an error here.
 */
import koffi, { type LibraryHandle, type TypeObject } from 'koffi'

import { ServingError } from '../core/errors.ts'

const ggmlVersion = '0.25.1'
const llamaVersionPrefix = '0.5.0'

/** Bytes of `struct ggml_tensor` (336) and of the object header before it in a context. */
const tensorOverhead = 368

/** Number, name, bytes per block, elements per block. */
const types: readonly (readonly [number, string, number, number])[] = [
  [0, 'f32', 4, 1],
  [1, 'f16', 2, 1],
  [2, 'q4_0', 18, 32],
  [6, 'q5_0', 22, 32],
  [8, 'q8_0', 34, 32],
  [12, 'q4_K', 144, 256],
  [14, 'q6_K', 210, 256],
  [26, 'i32', 4, 1],
  [27, 'i64', 8, 1],
  [30, 'bf16', 2, 1],
]

/** Spread over the whole enumeration: one operator inserted or removed shifts all that follow. */
const operators: readonly (readonly [number, string])[] = [
  [2, 'ADD'],
  [7, 'MUL'],
  [15, 'SUM_ROWS'],
  [18, 'ARGMAX'],
  [22, 'CONCAT'],
  [24, 'NORM'],
  [25, 'RMS_NORM'],
  [29, 'MUL_MAT'],
  [30, 'MUL_MAT_ID'],
  [32, 'SCALE'],
  [34, 'CPY'],
  [35, 'CONT'],
  [36, 'RESHAPE'],
  [37, 'VIEW'],
  [38, 'PERMUTE'],
  [40, 'GET_ROWS'],
  [42, 'SET_ROWS'],
  [46, 'SOFT_MAX'],
  [48, 'ROPE'],
  [69, 'ARGSORT'],
  [70, 'TOP_K'],
  [74, 'FLASH_ATTN_EXT'],
  [91, 'UNARY'],
  [99, 'OPT_STEP_SGD'],
]

/** `llama_model_params`: offsets of the fields we set. */
export const modelParams = {
  size: 80,
  gpuLayers: 16,
  loadMode: 24,
  vocabOnly: 72,
  checkTensors: 73,
  useExtraBufts: 74,
} as const

/** `llama_context_params`: offsets of the fields we set. */
export const contextParams = {
  size: 160,
  numCtx: 0,
  numBatch: 4,
  numMicroBatch: 8,
  numSeqMax: 12,
  numThreads: 28,
  numThreadsBatch: 32,
  flashAttention: 52,
  typeK: 104,
  typeV: 108,
  offloadKqv: 129,
  noPerf: 130,
  opOffload: 131,
  swaFull: 132,
  kvUnified: 133,
} as const

/** `llama_batch`: six pointers after a count. */
export const batchStruct = {
  size: 56,
  tokens: 8,
  embeddings: 16,
  positions: 24,
  numSeqIds: 32,
  seqIds: 40,
  outputs: 48,
} as const

/** A struct passed and returned by value, seen as its bytes. */
export const byteStruct = (size: number): TypeObject =>
  koffi.struct({ words: koffi.array('uint64_t', size / 8, 'Typed') })

/** @throws {ServingError} LIBRARY_MISMATCH when libggml-base is not the build we know. */
export function checkGgmlLayouts(base: LibraryHandle): void {
  const typeName = base.func('ggml_type_name', 'str', ['int'])
  const typeSize = base.func('ggml_type_size', 'size_t', ['int'])
  const blockSize = base.func('ggml_blck_size', 'int64_t', ['int'])
  const operatorName = base.func('ggml_op_name', 'str', ['int'])

  expectEqual('ggml version', base.func('ggml_version', 'str', [])(), ggmlVersion)
  expectEqual(
    'ggml_tensor_overhead',
    Number(base.func('ggml_tensor_overhead', 'size_t', [])()),
    tensorOverhead,
  )
  for (const [type, name, bytes, elements] of types) {
    expectEqual(`name of type ${type}`, typeName(type), name)
    expectEqual(`bytes per block of ${name}`, Number(typeSize(type)), bytes)
    expectEqual(`elements per block of ${name}`, Number(blockSize(type)), elements)
  }
  for (const [operator, name] of operators)
    expectEqual(`name of operator ${operator}`, operatorName(operator), name)
}

/** @throws {ServingError} LIBRARY_MISMATCH when libllama is not the build we know. */
export function checkLlamaLayouts(llama: LibraryHandle): void {
  const version: unknown = llama.func('llama_version', 'str', [])()
  if (!String(version).startsWith(llamaVersionPrefix))
    expectEqual('llama version', version, llamaVersionPrefix)

  const model = defaultParams(llama, 'llama_model_default_params', modelParams.size)
  expectInts('llama_model_params', model, [
    [modelParams.gpuLayers, -1],
    [modelParams.loadMode, -1],
  ])
  expectBytes('llama_model_params', model, [
    [modelParams.vocabOnly, 0],
    [modelParams.checkTensors, 0],
    [modelParams.useExtraBufts, 1],
  ])

  const context = defaultParams(llama, 'llama_context_default_params', contextParams.size)
  expectInts('llama_context_params', context, [
    [contextParams.numCtx, 512],
    [contextParams.numBatch, 2048],
    [contextParams.numMicroBatch, 512],
    [contextParams.numSeqMax, 1],
    [contextParams.numThreads, 4],
    [contextParams.numThreadsBatch, 4],
    [contextParams.flashAttention, -1],
    [contextParams.typeK, 1],
    [contextParams.typeV, 1],
  ])
  expectBytes('llama_context_params', context, [
    [contextParams.offloadKqv, 1],
    [contextParams.noPerf, 1],
    [contextParams.opOffload, 1],
    [contextParams.swaFull, 1],
    [contextParams.kvUnified, 0],
  ])
}

/**
 * The bytes of a `*_default_params()` result. The declared type is wider than the struct, so that a larger struct of
 * another version is caught instead of overrunning; on x64 a poisoned buffer proves the exact size.
 */
function defaultParams(llama: LibraryHandle, name: string, size: number): DataView {
  const padded = byteStruct(size + 64)
  const result = llama.func(name, padded, [])() as { words: BigUint64Array }
  if (process.arch === 'x64') expectWrittenSize(llama, name, size)
  return new DataView(result.words.buffer, result.words.byteOffset, size)
}

/**
 * On x64 a large struct is returned through a hidden first argument (System V and Windows alike), so the function
 * may be called with a buffer of our own: what it leaves untouched behind `size` is not part of the struct.
 */
function expectWrittenSize(llama: LibraryHandle, name: string, size: number): void {
  const poison = 0xa5
  const buffer = new Uint8Array(size + 64).fill(poison)
  llama.func(name, 'void *', ['uint8_t *'])(buffer)
  const written = buffer.findLastIndex((byte) => byte !== poison) + 1
  // A struct may end in padding that nobody writes.
  if (written > size || written <= size - 8) {
    throw mismatch(`${name} wrote ${written} bytes`, `a struct of ${size}`)
  }
}

type Expected = readonly (readonly [offset: number, value: number])[]

function expectInts(struct: string, view: DataView, expected: Expected): void {
  for (const [offset, value] of expected) {
    expectEqual(`default of ${struct} at ${offset}`, view.getInt32(offset, true), value)
  }
}

function expectBytes(struct: string, view: DataView, expected: Expected): void {
  for (const [offset, value] of expected) {
    expectEqual(`default of ${struct} at ${offset}`, view.getUint8(offset), value)
  }
}

function expectEqual(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw mismatch(`${what} is ${String(actual)}`, String(expected))
}

function mismatch(found: string, expected: string): ServingError {
  return new ServingError(
    'LIBRARY_MISMATCH',
    `This is not the build of ggml ${ggmlVersion} / llama ${llamaVersionPrefix} that the bindings were written for: ` +
      `${found}, expected ${expected}`,
  )
}
