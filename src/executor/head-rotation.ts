/**
 * A rotation of every head by an orthonormal Hadamard matrix before K and V are quantised. It spreads an outlier over
 * all elements that share its scale, which is what few-bit blocks need (QuaRot, Ashkboos et al., arXiv 2404.00456;
 * RotateKV, Su et al., arXiv 2501.16383). Scores do not change, as q and k turn alike; what attention returns for V
 * is turned back, and the matrix is its own inverse.
 */
import type { Backend } from '../ggml/backend.ts'
import type { Pointer } from '../ggml/functions.ts'
import { addressOf, GraphContext } from '../ggml/graph-context.ts'
import { ggmlType } from '../ggml/tensor-struct.ts'
import type { GraphBuilder } from '../model/graph/graph-builder.ts'

const ALIGNMENT = 128

export class HeadRotation {
  /** Elements that turn together: the largest power of two that divides a head. */
  readonly width: number
  readonly #matrix: Pointer
  readonly #context: GraphContext

  constructor(backend: Backend, headDim: number) {
    const { ggml } = backend
    this.width = rotationWidth(headDim)
    const values = hadamardMatrix(this.width)
    const buffer = backend.allocate(values.byteLength + ALIGNMENT)
    this.#context = new GraphContext(ggml, ggml.tensorOverhead() + 256)
    this.#matrix = ggml.newTensor2d(this.#context.pointer, ggmlType.f32, this.width, this.width)
    const address = Math.ceil(ggml.bufferBase(buffer) / ALIGNMENT) * ALIGNMENT
    this.#context.place(this.#matrix, buffer, address)
    ggml.setTensor(this.#matrix, addressOf(new Uint8Array(values.buffer)), 0, values.byteLength)
  }

  /** Rotates `rows` rows of `rowElements` floats (whole heads), `rowBytes` apart; the result has no gaps. */
  rotate(builder: GraphBuilder, x: Pointer, rowElements: number, rows: number, rowBytes: number): Pointer {
    const { width } = this
    const pieces = builder.view3d(x, [width, rowElements / width, rows], [width * 4, rowBytes], 0)
    const rotated = builder.mulHadamard(this.#matrix, pieces)
    return builder.view2d(rotated, [rowElements, rows], rowElements * 4, 0)
  }

  close(): void {
    this.#context.close()
  }
}

export function rotationWidth(headDim: number): number {
  return headDim & -headDim
}

/** Sylvester's Hadamard matrix of a power of two, scaled to be orthonormal; symmetric. */
export function hadamardMatrix(width: number): Float32Array {
  const scale = 1 / Math.sqrt(width)
  return Float32Array.from({ length: width * width }, (_, index) => {
    const signs = (index % width) & Math.floor(index / width)
    return isOdd(signs) ? -scale : scale
  })
}

/** Whether an odd number of bits is set. */
function isOdd(bits: number): boolean {
  let odd = false
  for (let left = bits; left !== 0; left &= left - 1) odd = !odd
  return odd
}
