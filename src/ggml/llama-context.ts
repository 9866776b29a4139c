/**
 * Running a model through libllama: a context with its KV cache, and batches of tokens from many sequences.
 * Used as the reference that the graph executor is compared with, and for architectures it does not know.
 */
import koffi from 'koffi'

import { invariant, ServingError } from '../core/errors.ts'
import { batchStruct, contextParams } from './layouts.ts'
import type { LlamaFunctions, Pointer, StructWords } from './llama-functions.ts'
import type { LlamaModel } from './llama.ts'

/** Numbers of `enum ggml_type`. */
const kvTypes = { f32: 0, f16: 1, q8_0: 8 } as const
export type LlamaKvType = keyof typeof kvTypes

export interface LlamaContextOptions {
  /** Tokens of KV cache over all sequences. */
  readonly numCtx: number
  /** Most tokens of one `decode`. */
  readonly numBatch: number
  /** Most tokens computed at once inside it. */
  readonly numMicroBatch: number
  readonly numSeqMax: number
  readonly numThreads: number
  readonly kvTypeK: LlamaKvType
  readonly kvTypeV: LlamaKvType
  readonly flashAttention: boolean
  /** One KV buffer for all sequences instead of an equal share each. */
  readonly kvUnified: boolean
}

/** Owns one `llama_context`. Not for concurrent use. */
export class LlamaContext {
  readonly numCtx: number
  readonly #model: LlamaModel
  readonly #functions: LlamaFunctions
  #handle: Pointer | null

  /** @throws {ServingError} INVALID_CONFIG when libllama refuses the options (say, too little memory). */
  constructor(model: LlamaModel, options: LlamaContextOptions) {
    this.#model = model
    this.#functions = model.functions
    this.#handle = this.#functions.contextInit(model.handle, contextParameters(this.#functions, options))
    if (this.#handle === null) {
      throw new ServingError(
        'INVALID_CONFIG',
        `libllama cannot make a context with ${JSON.stringify(options)}`,
      )
    }
    this.numCtx = this.#functions.contextSize(this.#handle)
  }

  /**
   * Computes the batch; KV and logits are the context's afterwards.
   * @returns false when the KV cache has no room; nothing was changed then.
   * @throws {ServingError} ENGINE_FAILED on any other status.
   */
  decode(batch: LlamaBatch): boolean {
    return succeeded(this.#functions.decode(this.#open(), batch.struct()))
  }

  /** `decode` on a thread of its own. The context and the batch belong to it until the promise settles. */
  async decodeAsync(batch: LlamaBatch): Promise<boolean> {
    const handle = this.#open()
    return new Promise((resolve, reject) => {
      this.#functions.decode.async(handle, batch.struct(), (error, status) => {
        if (error) return reject(error)
        try {
          resolve(succeeded(status))
        } catch (failure) {
          reject(failure)
        }
      })
    })
  }

  /** A copy of the logits of entry `index` of the last batch, which must have asked for them. */
  logits(index: number): Float32Array {
    const pointer = this.#functions.logitsOf(this.#open(), index)
    invariant(pointer !== null, `Batch entry ${index} has no logits`)
    return koffi.decode(pointer, 'float', this.#model.vocab.size) as unknown as Float32Array
  }

  /** Forgets every sequence. */
  clear(): void {
    this.#functions.memoryClear(this.#memory(), false)
  }

  /** Forgets positions [from, to) of a sequence; -1 means unbounded. False when only a part cannot go. */
  removeSequence(sequence: number, from = -1, to = -1): boolean {
    return this.#functions.memorySeqRm(this.#memory(), sequence, from, to)
  }

  /** Makes positions [from, to) of `source` part of `target` as well. */
  copySequence(source: number, target: number, from = -1, to = -1): void {
    this.#functions.memorySeqCp(this.#memory(), source, target, from, to)
  }

  setNumThreads(numThreads: number): void {
    this.#functions.setNumThreads(this.#open(), numThreads, numThreads)
  }

  close(): void {
    if (this.#handle !== null) this.#functions.contextFree(this.#handle)
    this.#handle = null
  }

  #memory(): Pointer {
    return this.#functions.contextMemory(this.#open())
  }

  #open(): Pointer {
    invariant(this.#handle !== null, 'The context is closed')
    return this.#handle
  }
}

/** Tokens for one `decode`. Fixed capacity, reused: `clear`, `add`, decode. */
export class LlamaBatch {
  readonly capacity: number
  readonly #tokens: Int32Array
  readonly #positions: Int32Array
  readonly #sequences: Int32Array
  readonly #outputs: Int8Array
  readonly #words: BigUint64Array
  // The struct holds addresses into these; the fields keep them from being collected.
  readonly #sequenceCounts: Int32Array
  readonly #sequencePointers: BigUint64Array
  #length = 0

  constructor(capacity: number) {
    this.capacity = capacity
    this.#tokens = new Int32Array(pinned(capacity * 4))
    this.#positions = new Int32Array(pinned(capacity * 4))
    this.#sequences = new Int32Array(pinned(capacity * 4))
    this.#sequenceCounts = new Int32Array(pinned(capacity * 4)).fill(1)
    this.#outputs = new Int8Array(pinned(capacity))
    this.#sequencePointers = new BigUint64Array(pinned(capacity * 8))
    const firstSequence = koffi.address(this.#sequences)
    for (let index = 0; index < capacity; index++)
      this.#sequencePointers[index] = firstSequence + BigInt(index * 4)

    this.#words = new BigUint64Array(pinned(batchStruct.size))
    const fields = [
      [batchStruct.tokens, this.#tokens],
      [batchStruct.positions, this.#positions],
      [batchStruct.numSeqIds, this.#sequenceCounts],
      [batchStruct.seqIds, this.#sequencePointers],
      [batchStruct.outputs, this.#outputs],
    ] as const
    for (const [offset, array] of fields) this.#words[offset / 8] = koffi.address(array)
  }

  get length(): number {
    return this.#length
  }

  clear(): void {
    this.#length = 0
  }

  /** Appends one token of a sequence; `output` asks for its logits. Returns its index in the batch. */
  add(token: number, position: number, sequence: number, output: boolean): number {
    const index = this.#length
    invariant(index < this.capacity, `The batch holds ${this.capacity} tokens`)
    this.#tokens[index] = token
    this.#positions[index] = position
    this.#sequences[index] = sequence
    this.#outputs[index] = Number(output)
    this.#length = index + 1
    return index
  }

  /** The `llama_batch` to pass by value; its arrays belong to this object. */
  struct(): StructWords {
    this.#words[0] = BigInt(this.#length)
    return { words: this.#words }
  }
}

/** Explicit buffers lie outside the moving heap (small typed arrays by themselves do not), so addresses stay valid. */
function pinned(bytes: number): ArrayBuffer {
  return new ArrayBuffer(bytes)
}

function succeeded(status: number): boolean {
  if (status === 0) return true
  if (status === 1) return false
  throw new ServingError('ENGINE_FAILED', `llama_decode failed with status ${status}`)
}

function contextParameters(functions: LlamaFunctions, options: LlamaContextOptions): StructWords {
  const { words } = functions.contextDefaultParams()
  const view = new DataView(words.buffer, words.byteOffset, contextParams.size)
  const setInt = (offset: number, value: number): void => view.setInt32(offset, value, true)
  setInt(contextParams.numCtx, options.numCtx)
  setInt(contextParams.numBatch, options.numBatch)
  setInt(contextParams.numMicroBatch, options.numMicroBatch)
  setInt(contextParams.numSeqMax, options.numSeqMax)
  setInt(contextParams.numThreads, options.numThreads)
  setInt(contextParams.numThreadsBatch, options.numThreads)
  setInt(contextParams.flashAttention, Number(options.flashAttention))
  setInt(contextParams.typeK, kvTypes[options.kvTypeK])
  setInt(contextParams.typeV, kvTypes[options.kvTypeV])
  view.setUint8(contextParams.kvUnified, Number(options.kvUnified))
  return { words }
}
