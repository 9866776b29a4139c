/**
 * Brings a model's weights to where the kernels want them. Matrices go into the CPU's reordered buffer type where
 * it takes them (whole, in one call), the embedding table stays mapped from the file, the rest is copied. Matrices
 * that read the same input (q, k and v; gate and up) become one, which saves its quantisation and a barrier each.
 */
import { openSync, closeSync, readSync } from 'node:fs'
import type { Backend } from '../ggml/backend.ts'
import type { Pointer } from '../ggml/functions.ts'
import { addressOf, GraphContext } from '../ggml/graph-context.ts'
import { mapFile, viewMemory } from '../ggml/memory-map.ts'
import { invariant } from '../core/errors.ts'
import type { GgufTensor } from './gguf-reader.ts'
import { planWeights, type WeightPiece } from './weight-pieces.ts'
import type { ModelSpec } from './model-spec.ts'

const ALIGNMENT = 128

export interface Weights {
  /** The tensor of a piece (`blk.0.attn_qkv.weight`); undefined when the model has none. */
  find(name: string): Pointer | undefined
  /** The tensor of a piece the model must have. */
  get(name: string): Pointer
  close(): void
}

export interface LoadOptions {
  /** Called with the share of bytes loaded, 0 to 1. */
  readonly onProgress: (fraction: number) => void
}

/** Loads everything. The event loop gets a turn between tensors, so that progress can be seen. */
export async function loadWeights(spec: ModelSpec, backend: Backend, options: LoadOptions): Promise<Weights> {
  return new WeightLoader(spec, backend).load(options)
}

interface Placed {
  readonly piece: WeightPiece
  readonly tensor: Pointer
  /** repack: reordered while set; device: copied; mapped: used where the file is mapped. */
  readonly place: 'repack' | 'device' | 'mapped'
}

class WeightLoader {
  readonly #spec: ModelSpec
  readonly #backend: Backend
  readonly #context: GraphContext
  readonly #pieces: readonly WeightPiece[]
  readonly #repackable = new Map<string, boolean>()

  constructor(spec: ModelSpec, backend: Backend) {
    this.#spec = spec
    this.#backend = backend
    this.#pieces = planWeights(spec, (tensor) => this.#canRepack(tensor))
    const overhead = backend.ggml.tensorOverhead()
    this.#context = new GraphContext(backend.ggml, (this.#pieces.length + 1) * overhead + 1024)
  }

  async load({ onProgress }: LoadOptions): Promise<Weights> {
    const map = this.#backend.isCpu ? mapFile(this.#spec.path) : undefined
    const mapBuffer = map === undefined ? 0 : this.#backend.adopt(map.address, map.numBytes)
    const placed = this.#pieces.map((piece) => this.#place(piece, map !== undefined))
    this.#allocate(placed, 'repack', this.#backend.repackBufferType ?? 0)
    this.#allocate(placed, 'device', this.#backend.bufferType)
    await this.#fill(placed, map?.address ?? 0, mapBuffer, onProgress)

    const byName = new Map(placed.map(({ piece, tensor }) => [piece.name, tensor]))
    const find = (name: string) => byName.get(name)
    return {
      find,
      get: (name) => {
        const tensor = find(name)
        invariant(tensor !== undefined, `no weight ${name}`)
        return tensor
      },
      close: () => {
        this.#context.close()
        map?.close()
      },
    }
  }

  #place(piece: WeightPiece, canMap: boolean): Placed {
    const first = piece.sources[0]
    invariant(first !== undefined, `the weight ${piece.name} has no source`)
    const rows = piece.sources.reduce((sum, source) => sum + (source.shape[1] ?? 1), 0)
    const ggml = this.#backend.ggml
    const isVector = first.shape.length === 1
    const tensor = isVector
      ? ggml.newTensor1d(this.#context.pointer, first.type, numElements(piece))
      : ggml.newTensor2d(this.#context.pointer, first.type, first.shape[0] ?? 0, rows)
    const place = piece.role === 'matrix' && this.#canRepack(first) ? 'repack' : 'device'
    return { piece, tensor, place: piece.role === 'table' && canMap ? 'mapped' : place }
  }

  #allocate(placed: readonly Placed[], place: Placed['place'], bufferType: Pointer): void {
    const chosen = placed.filter((entry) => entry.place === place)
    if (chosen.length === 0) return
    const ggml = this.#backend.ggml
    const sizes = chosen.map(({ tensor }) => align(ggml.bufferTypeAllocSize(bufferType, tensor)))
    const buffer = this.#backend.allocate(
      sizes.reduce((sum, size) => sum + size, ALIGNMENT),
      bufferType,
    )
    ggml.bufferSetUsage(buffer, 1)
    let address = align(ggml.bufferBase(buffer))
    chosen.forEach(({ tensor }, index) => {
      ggml.allocTensor(buffer, tensor, address)
      address += sizes[index] ?? 0
    })
  }

  async #fill(
    placed: readonly Placed[],
    mapAddress: Pointer,
    mapBuffer: Pointer,
    onProgress: (fraction: number) => void,
  ): Promise<void> {
    const total = placed.reduce((sum, { piece }) => sum + numBytes(piece), 0)
    const file = openSync(this.#spec.path, 'r')
    let done = 0
    try {
      for (const entry of placed) {
        if (entry.place === 'mapped') {
          this.#context.place(entry.tensor, mapBuffer, mapAddress + (entry.piece.sources[0]?.offset ?? 0))
        } else {
          this.#read(file, entry)
        }
        done += numBytes(entry.piece)
        onProgress(done / total)
        await new Promise((resolve) => setImmediate(resolve))
      }
    } finally {
      closeSync(file)
    }
  }

  /** Plain host memory is read into directly; everything else goes through one staging copy. */
  #read(file: number, { piece, tensor, place }: Placed): void {
    const size = numBytes(piece)
    const direct = this.#backend.isCpu && place === 'device'
    const staging = direct
      ? new Uint8Array(viewMemory(this.#context.data(tensor), size))
      : new Uint8Array(new ArrayBuffer(size))
    let at = 0
    for (const source of piece.sources) {
      readFully(file, staging.subarray(at, at + source.numBytes), source.offset)
      at += source.numBytes
    }
    if (!direct) this.#backend.ggml.setTensor(tensor, addressOf(staging), 0, size)
  }

  /** Asks the backend itself: a tensor it will reorder gets its traits when it is placed in such a buffer. */
  #canRepack(source: GgufTensor): boolean {
    const type = this.#backend.repackBufferType
    if (type === undefined || source.shape.length !== 2) return false
    const [ne0 = 0, ne1 = 0] = source.shape
    const key = `${source.type}:${ne0}:${ne1}`
    const known = this.#repackable.get(key)
    if (known !== undefined) return known
    const answer = this.#probeRepack(type, source.type, ne0, ne1)
    this.#repackable.set(key, answer)
    return answer
  }

  #probeRepack(bufferType: Pointer, type: number, ne0: number, ne1: number): boolean {
    const ggml = this.#backend.ggml
    const context = new GraphContext(ggml, ggml.tensorOverhead() * 2 + 256)
    const tensor = ggml.newTensor2d(context.pointer, type, ne0, ne1)
    const size = ggml.bufferTypeAllocSize(bufferType, tensor) + ALIGNMENT
    const buffer = ggml.allocBuffer(bufferType, size)
    if (buffer === 0) return false
    ggml.allocTensor(buffer, tensor, ggml.bufferBase(buffer))
    const answer = context.extra(tensor) !== 0
    ggml.freeBuffer(buffer)
    context.close()
    return answer
  }
}

function readFully(file: number, target: Uint8Array, position: number): void {
  let at = 0
  while (at < target.length) {
    const count = readSync(file, target, at, target.length - at, position + at)
    invariant(count > 0, 'the model file ended while it was read')
    at += count
  }
}

const align = (value: number) => Math.ceil(value / ALIGNMENT) * ALIGNMENT
const numBytes = (piece: WeightPiece) => piece.sources.reduce((sum, source) => sum + source.numBytes, 0)
const numElements = (piece: WeightPiece) =>
  piece.sources.reduce((sum, source) => sum + source.shape.reduce((product, ne) => product * ne, 1), 0)
