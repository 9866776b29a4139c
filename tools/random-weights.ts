/** Reproducible random weights, quantised by ggml itself. */
import { invariant } from '../src/core/errors.ts'
import { openLibraries } from '../src/ggml/library.ts'
import { findTensorType, rowBytes, type TensorType } from '../src/model/gguf-types.ts'

/** Elements made at once: bounds the memory, whatever the tensor. */
const PIECE_ELEMENTS = 2 ** 21

type Quantise = (
  type: number,
  source: Float32Array,
  target: Uint8Array,
  start: number,
  numRows: number,
  rowLength: number,
  importance: null,
) => number

let bound: Quantise | undefined

function quantiser(): Quantise {
  const parameters = ['int', 'const float *', 'void *', 'int64_t', 'int64_t', 'int64_t', 'const float *']
  bound ??= openLibraries({ device: 'cpu' }).base.func(
    'ggml_quantize_chunk',
    'size_t',
    parameters,
  ) as unknown as Quantise
  return bound
}

/** Where a tensor's values lie: uniformly in [mean - spread, mean + spread). */
export interface Distribution {
  readonly mean: number
  readonly spread: number
}

export interface RandomTensor {
  readonly type: TensorType
  readonly shape: readonly number[]
  readonly distribution: Distribution
  /** Same seed, same bytes. */
  readonly seed: number
}

/** The bytes of a tensor, some rows at a time. A piece is valid until the next one is asked for. */
export function* randomTensor({ type, shape, distribution, seed }: RandomTensor): Generator<Uint8Array> {
  const rowLength = shape[0] ?? 1
  const numRows = shape.slice(1).reduce((product, size) => product * size, 1)
  const rowsAtOnce = Math.max(1, Math.min(numRows, Math.floor(PIECE_ELEMENTS / rowLength)))
  const values = new Float32Array(rowsAtOnce * rowLength)
  const bytes = new Uint8Array(rowsAtOnce * rowBytes(type, rowLength))
  const fill = uniforms(seed)
  for (let row = 0; row < numRows; row += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, numRows - row)
    const piece = values.subarray(0, count * rowLength)
    fill(piece, distribution)
    yield quantise(type, piece, rowLength, bytes)
  }
}

/** Rows of floats as a tensor type; the result is the beginning of `target` when one is given. */
export function quantise(
  type: TensorType,
  values: Float32Array,
  rowLength: number,
  target = new Uint8Array((values.length / rowLength) * rowBytes(type, rowLength)),
): Uint8Array {
  const numRows = values.length / rowLength
  const written = quantiser()(type.id, values, target, 0, numRows, rowLength, null)
  invariant(
    Number(written) === numRows * rowBytes(type, rowLength),
    `ggml wrote ${written} bytes of ${type.name}`,
  )
  return target.subarray(0, Number(written))
}

/** What a row of this length can hold; llama.cpp's quantiser falls back in the same way. */
export function fittingType(type: TensorType, rowLength: number): TensorType {
  if (rowLength % type.blockSize === 0) return type
  const fallback = findTensorType(fallbacks[type.name] ?? 'F16')
  invariant(fallback !== undefined && fallback !== type, `no fallback for ${type.name}`)
  return fittingType(fallback, rowLength)
}

const fallbacks: Readonly<Record<string, string>> = { Q4_K: 'Q5_0', Q6_K: 'Q8_0' }

/** Mulberry32 (Tommy Ettinger, public domain): a generator fast enough for half a billion values. */
function uniforms(seed: number): (target: Float32Array, distribution: Distribution) => void {
  let state = seed | 0
  return (target, { mean, spread }) => {
    const scale = spread / 2_147_483_648
    for (let index = 0; index < target.length; index++) {
      state = (state + 0x6d2b79f5) | 0
      let value = Math.imul(state ^ (state >>> 15), state | 1)
      value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
      target[index] = mean + (value ^ (value >>> 14)) * scale
    }
  }
}
