/** How fast this machine computes and moves memory at best, measured through the kernels that models run on. */
import { Backend, type BackendOptions } from '../ggml/backend.ts'
import { addressOf, GraphContext } from '../ggml/graph-context.ts'
import type { Pointer } from '../ggml/functions.ts'
import { ggmlType } from '../ggml/tensor-struct.ts'
import type { MachineLimits } from './bounds.ts'

export interface LimitOptions extends Pick<BackendOptions, 'device' | 'numThreads'> {
  /** ggml's type of the model's matrices. */
  readonly weightType: number
}

/** A product of this size keeps a core's caches full. */
const productWidth = 2048
const productRows = 512
/** Larger than caches. */
const copyBytes = 2 ** 28
const alignment = 128
/** The best of so many tries: what else runs only slows. */
const numTries = 7

/** Takes a second or two. @throws {ServingError} when the device cannot be used. */
export async function measureLimits({ weightType, ...options }: LimitOptions): Promise<MachineLimits> {
  const backend = new Backend({ ...options, referenceKernels: false })
  try {
    const flopsPerSecond = Math.max(
      await productRate(backend, weightType),
      await productRate(backend, ggmlType.f32),
    )
    return { flopsPerSecond, bytesPerSecond: Math.max(await copyRate(backend), await readRate(backend)) }
  } finally {
    backend.close()
  }
}

async function productRate(backend: Backend, type: number): Promise<number> {
  const seconds = await bestOf(backend, (builder) => {
    const weight = builder.tensor(type, productWidth, productWidth, backend.repackBufferType)
    return builder.ggml.mulMat(
      builder.context.pointer,
      weight,
      builder.tensor(ggmlType.f32, productWidth, productRows),
    )
  })
  return (2 * productWidth ** 2 * productRows) / seconds
}

/** Every byte is read, and written. */
async function copyRate(backend: Backend): Promise<number> {
  const rows = copyBytes / 4 / productWidth / 2
  const seconds = await bestOf(backend, (builder) => {
    const [from, to] = [0, 1].map(() => builder.tensor(ggmlType.f32, productWidth, rows)) as [
      Pointer,
      Pointer,
    ]
    return builder.ggml.copy(builder.context.pointer, from, to)
  })
  return copyBytes / seconds
}

/** A matrix that is read for one row, as in a decode of one sequence. */
async function readRate(backend: Backend): Promise<number> {
  const rows = copyBytes / 4 / productWidth
  const seconds = await bestOf(backend, (builder) => {
    const weight = builder.tensor(ggmlType.f32, productWidth, rows)
    return builder.ggml.mulMat(builder.context.pointer, weight, builder.tensor(ggmlType.f32, productWidth, 1))
  })
  return copyBytes / seconds
}

/** Places the tensors of one operation. */
class OperationBuilder {
  readonly ggml: Backend['ggml']
  readonly context: GraphContext
  readonly #backend: Backend
  readonly buffers: Pointer[] = []

  constructor(backend: Backend) {
    this.ggml = backend.ggml
    this.#backend = backend
    this.context = new GraphContext(
      backend.ggml,
      backend.ggml.tensorOverhead() * 8 + backend.ggml.graphOverhead(8, false),
    )
  }

  /** A matrix of zeros; in a buffer of `bufferType` where that takes it. */
  tensor(type: number, ne0: number, ne1: number, bufferType?: Pointer): Pointer {
    const tensor = this.ggml.newTensor2d(this.context.pointer, type, ne0, ne1)
    const numBytes = this.context.numBytes(tensor)
    if (bufferType !== undefined) {
      this.#place(tensor, bufferType)
      if (this.context.extra(tensor) !== 0) {
        this.ggml.setTensor(tensor, addressOf(new Uint8Array(numBytes)), 0, numBytes)
        return tensor
      }
      this.ggml.freeBuffer(this.buffers.pop()!)
      return this.tensor(type, ne0, ne1)
    }
    this.#place(tensor, this.#backend.bufferType)
    this.ggml.bufferClear(this.buffers.at(-1)!, 0)
    return tensor
  }

  /** As the result of an operation: it has no memory yet. */
  placeResult(tensor: Pointer): void {
    if (this.context.data(tensor) === 0) this.#place(tensor, this.#backend.bufferType)
  }

  close(): void {
    for (const buffer of this.buffers) this.ggml.freeBuffer(buffer)
    this.context.close()
  }

  #place(tensor: Pointer, bufferType: Pointer): void {
    const size = this.ggml.bufferTypeAllocSize(bufferType, tensor) + alignment
    const buffer = this.ggml.allocBuffer(bufferType, size)
    this.buffers.push(buffer)
    const base = this.ggml.bufferBase(buffer)
    this.ggml.allocTensor(buffer, tensor, Math.ceil(base / alignment) * alignment)
  }
}

/** Seconds of the quickest try. */
async function bestOf(backend: Backend, operation: (builder: OperationBuilder) => Pointer): Promise<number> {
  const builder = new OperationBuilder(backend)
  try {
    const result = operation(builder)
    builder.placeResult(result)
    const graph = backend.ggml.newGraph(builder.context.pointer, 8, false)
    backend.ggml.expand(graph, result)
    let best = Number.POSITIVE_INFINITY
    for (let attempt = 0; attempt < numTries; attempt += 1) {
      const startedAt = performance.now()
      await backend.compute(graph)
      best = Math.min(best, performance.now() - startedAt)
    }
    return best / 1000
  } finally {
    builder.close()
  }
}
