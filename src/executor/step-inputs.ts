/**
 * What changes with every step: token ids, positions, KV slots, output rows and attention masks. On the CPU the graph
 * reads JavaScript's own memory; a device gets a copy before it computes.
 */
import { invariant } from '../core/errors.ts'
import type { Backend } from '../ggml/backend.ts'
import type { Pointer } from '../ggml/functions.ts'
import { addressOf } from '../ggml/graph-context.ts'
import type { SlotRun } from './kv-view.ts'

/** -infinity and 0 as half floats. */
const halfMinusInfinity = 0xfc00
const halfZero = 0

/** One of the inputs: its JavaScript side, and where the graph finds it. */
export interface InputArray<Values extends Int32Array | Float32Array = Int32Array> {
  readonly values: Values
  readonly address: Pointer
  /** The device's buffer; undefined where the graph reads our memory. */
  readonly buffer: Pointer | undefined
}

/** How many log-sum-exps a row may ask for. */
const maxReductions = 2

export interface CausalMask {
  readonly position: number
  readonly numTokens: number
  readonly rowsPerToken: number
  readonly numRows: number
}

export interface TailsMask {
  readonly numKeys: number
  readonly numRows: number
  readonly numShared: number
  readonly rowsPerTail: number
  /** Where each sequence's own keys lie among all. */
  readonly tails: readonly { readonly start: number; readonly end: number }[]
}

export class StepInputs {
  readonly tokens: InputArray
  readonly positions: InputArray
  readonly slots: InputArray
  readonly outputRows: InputArray
  /** Factors of the output rows, for one reduction each. */
  readonly rowFactors: readonly InputArray<Float32Array>[]
  readonly #backend: Backend
  #mask: Uint16Array
  #maskPlace: Pick<InputArray, 'address' | 'buffer'> = { address: 0, buffer: undefined }
  #maskUsed = 0
  readonly #gathered: InputArray
  #gatheredUsed = 0

  constructor(backend: Backend, maxRows: number, maxOutputs: number, maxGathered: number) {
    this.#backend = backend
    this.tokens = this.#array(new Int32Array(maxRows))
    this.positions = this.#array(new Int32Array(maxRows))
    this.slots = this.#array(new Int32Array(maxRows))
    // All rows at most, and padding behind them.
    this.outputRows = this.#array(new Int32Array(maxRows + maxOutputs))
    this.rowFactors = Array.from({ length: maxReductions }, () => this.#array(new Float32Array(maxOutputs)))
    this.#gathered = this.#array(new Int32Array(maxGathered))
    this.#mask = new Uint16Array(0)
  }

  /** The device's buffer of the masks; undefined where the graph reads our memory. */
  get maskBuffer(): Pointer | undefined {
    return this.#maskPlace.buffer
  }

  /** Makes room for the masks of a step, in elements. Before the first `causalMask` of the step. */
  beginMasks(numElements: number): void {
    this.#gatheredUsed = 0
    this.#maskUsed = 0
    if (numElements <= this.#mask.length) return
    this.#mask = new Uint16Array(numElements * 2)
    this.#maskPlace = this.#placeFor(this.#mask)
  }

  /**
   * The mask [numKeys, numRows] of a chunk, whose tokens have `rowsPerToken` rows each: token i sees the keys up to
   * `position + i`; rows that only pad see nothing. Returns its address.
   */
  causalMask({ position, numTokens, rowsPerToken, numRows }: CausalMask): Pointer {
    const start = this.#maskUsed
    const numKeys = position + numTokens
    const used = numTokens * rowsPerToken
    for (let row = 0; row < used; row++) {
      const at = start + row * numKeys
      const seen = position + Math.floor(row / rowsPerToken) + 1
      this.#mask.fill(halfZero, at, at + seen)
      this.#mask.fill(halfMinusInfinity, at + seen, at + numKeys)
    }
    this.#maskUsed += numKeys * numRows
    this.#mask.fill(halfMinusInfinity, start + numKeys * used, this.#maskUsed)
    return this.#maskPlace.address + start * 2
  }

  /** The mask of a row that sees the slots of `runs` among those of `covering`. Returns its address. */
  spanMask(covering: SlotRun, runs: readonly SlotRun[]): Pointer {
    const start = this.#maskUsed
    this.#mask.fill(halfMinusInfinity, start, start + covering.length)
    for (const { slot, length } of runs) {
      const at = start + slot - covering.slot
      this.#mask.fill(halfZero, at, at + length)
    }
    this.#maskUsed += covering.length
    return this.#maskPlace.address + start * 2
  }

  /** Room for a list of slots to gather. */
  gatheredSlots(count: number): InputArray {
    const start = this.#gatheredUsed
    this.#gatheredUsed += count
    const { values, address, buffer } = this.#gathered
    invariant(this.#gatheredUsed <= values.length, 'a step gathers more slots than there is room for')
    return { values: values.subarray(start, start + count), address: address + start * 4, buffer }
  }

  /** The mask of stacked queries: each sees the shared keys and its own tail; rows that only pad see nothing. */
  tailsMask({ numKeys, numRows, numShared, rowsPerTail, tails }: TailsMask): Pointer {
    const start = this.#maskUsed
    const mask = this.#mask
    mask.fill(halfMinusInfinity, start, start + numKeys * numRows)
    tails.forEach((tail, index) => {
      for (let row = index * rowsPerTail; row < (index + 1) * rowsPerTail; row++) {
        const at = start + row * numKeys
        mask.fill(halfZero, at, at + numShared)
        mask.fill(halfZero, at + tail.start, at + tail.end)
      }
    })
    this.#maskUsed += numKeys * numRows
    return this.#maskPlace.address + start * 2
  }

  /** Sends an input to the device; nothing to do where the graph reads our memory. */
  upload(tensor: Pointer, { values }: InputArray<Int32Array | Float32Array>, count: number): void {
    if (this.#backend.isCpu || count === 0) return
    this.#backend.ggml.setTensor(tensor, addressOf(bytesOf(values)), 0, count * 4)
  }

  uploadMask(tensor: Pointer, address: Pointer, numElements: number): void {
    if (this.#backend.isCpu) return
    const host = addressOf(bytesOf(this.#mask)) + (address - this.#maskPlace.address)
    this.#backend.ggml.setTensor(tensor, host, 0, numElements * 2)
  }

  #array<Values extends Int32Array | Float32Array>(values: Values): InputArray<Values> {
    return { values, ...this.#placeFor(values) }
  }

  #placeFor(values: Int32Array | Float32Array | Uint16Array): Pick<InputArray, 'address' | 'buffer'> {
    const bytes = bytesOf(values)
    if (this.#backend.isCpu) return { address: addressOf(bytes), buffer: undefined }
    const buffer = this.#backend.allocate(bytes.length)
    return { address: this.#backend.ggml.bufferBase(buffer), buffer }
  }
}

function bytesOf(values: Int32Array | Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}
