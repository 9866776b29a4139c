/**
 * The device memory behind the block numbers: one K and one V tensor a layer, a row of `headDim * kvHeads` elements
 * a token slot. Block b holds the slots [b * blockSize, (b + 1) * blockSize).
 */
import type { Backend } from '../ggml/backend.ts'
import type { Pointer } from '../ggml/functions.ts'
import { GraphContext } from '../ggml/graph-context.ts'

const ALIGNMENT = 128

export interface KvPoolShape {
  readonly numLayers: number
  readonly numKvHeads: number
  readonly headDim: number
  /** ggml types of the two halves. */
  readonly typeK: number
  readonly typeV: number
  readonly numSlots: number
  /** Slots of the scratch room into which scattered extents are gathered. */
  readonly numScratchSlots: number
}

/** K or V: its tensors by layer, and the strides that all layers share. */
export interface KvHalf {
  readonly type: number
  readonly rowElements: number
  readonly rowBytes: number
  readonly headBytes: number
  readonly layers: readonly { readonly tensor: Pointer; readonly address: Pointer }[]
  readonly scratch: { readonly tensor: Pointer; readonly address: Pointer }
}

export class KvPool {
  readonly k: KvHalf
  readonly v: KvHalf
  readonly buffer: Pointer
  readonly #context: GraphContext

  constructor(backend: Backend, shape: KvPoolShape) {
    const { ggml } = backend
    this.#context = new GraphContext(ggml, (2 * shape.numLayers + 3) * ggml.tensorOverhead() + 256)
    const bytesK = halfBytes(backend, shape, shape.typeK)
    const bytesV = halfBytes(backend, shape, shape.typeV)
    const remedy = 'the KV cache is too large; lower --kv-cache-tokens'
    this.buffer = backend.allocate(bytesK + bytesV + ALIGNMENT, backend.bufferType, remedy)
    if (!backend.isCpu) ggml.bufferClear(this.buffer, 0)
    const base = align(ggml.bufferBase(this.buffer))
    this.k = this.#half(backend, shape, shape.typeK, base)
    this.v = this.#half(backend, shape, shape.typeV, base + bytesK)
  }

  /** Bytes that one token takes in all layers. */
  static bytesPerToken(backend: Backend, shape: Omit<KvPoolShape, 'numSlots' | 'numScratchSlots'>): number {
    const width = shape.numKvHeads * shape.headDim
    const row = backend.ggml.rowSize(shape.typeK, width) + backend.ggml.rowSize(shape.typeV, width)
    return shape.numLayers * row
  }

  close(): void {
    this.#context.close()
  }

  #half(backend: Backend, shape: KvPoolShape, type: number, base: Pointer): KvHalf {
    const { ggml } = backend
    const rowElements = shape.numKvHeads * shape.headDim
    const rowBytes = ggml.rowSize(type, rowElements)
    let next = base
    const place = (slots: number) => {
      const address = next
      next = align(next + rowBytes * slots)
      const tensor = ggml.newTensor2d(this.#context.pointer, type, rowElements, slots)
      this.#context.place(tensor, this.buffer, address)
      return { tensor, address }
    }
    return {
      type,
      rowElements,
      rowBytes,
      headBytes: ggml.rowSize(type, shape.headDim),
      layers: Array.from({ length: shape.numLayers }, () => place(shape.numSlots)),
      scratch: place(shape.numScratchSlots),
    }
  }
}

function halfBytes(backend: Backend, shape: KvPoolShape, type: number): number {
  const rowBytes = backend.ggml.rowSize(type, shape.numKvHeads * shape.headDim)
  return shape.numLayers * align(rowBytes * shape.numSlots) + align(rowBytes * shape.numScratchSlots)
}

const align = (value: number) => Math.ceil(value / ALIGNMENT) * ALIGNMENT
