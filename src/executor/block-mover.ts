/**
 * Moves whole blocks of KV in all layers: within the pool (a plan's copies), and between the pool and staging memory
 * (swapping). Blocks that lie side by side move as one run, so that a layer costs one large copy for K and one for V.
 */
import { setImmediate } from 'node:timers/promises'
import { invariant } from '../core/errors.ts'
import type { Backend } from '../ggml/backend.ts'
import type { Pointer } from '../ggml/functions.ts'
import { addressOf, GraphContext } from '../ggml/graph-context.ts'
import { ggmlType } from '../ggml/tensor-struct.ts'
import type { Extent } from '../kvcache/extent.ts'
import type { BlockCopy } from '../scheduler/step-plan.ts'
import type { BlockMemory } from './executor.ts'
import type { KvHalf, KvPool } from './kv-pool.ts'

/**
 * Sending a call to another thread costs about 50 us: smaller runs are copied here, some at a time (in bytes; a MiB
 * takes about 0.1 ms).
 */
const largestDirect = 2 ** 19
const longestDirect = 2 ** 20

/** A layer's K or V, and where its blocks begin in staging memory for one block. */
interface MovedHalf {
  readonly tensor: Pointer
  readonly address: Pointer
  readonly blockBytes: number
  readonly stagingOffset: number
}

export class BlockMover implements BlockMemory {
  /** Bytes of one block over all layers. */
  readonly bytesPerBlock: number
  readonly #backend: Backend
  readonly #pool: KvPool
  readonly #halves: readonly MovedHalf[]
  readonly #context: GraphContext
  /** The ends of a copy on a device: tensors of bytes, pointed at one run after the other. */
  readonly #source: Pointer
  readonly #target: Pointer

  constructor(backend: Backend, pool: KvPool, blockSize: number) {
    this.#backend = backend
    this.#pool = pool
    const halves: MovedHalf[] = []
    let stagingOffset = 0
    pool.k.layers.forEach((_, layer) => {
      for (const half of [pool.k, pool.v]) {
        const { tensor, address } = half.layers[layer] as KvHalf['scratch']
        const blockBytes = half.rowBytes * blockSize
        halves.push({ tensor, address, blockBytes, stagingOffset })
        stagingOffset += blockBytes
      }
    })
    this.#halves = halves
    this.bytesPerBlock = stagingOffset
    this.#context = new GraphContext(backend.ggml, 2 * backend.ggml.tensorOverhead() + 256)
    const bytesTensor = () => backend.ggml.newTensor2d(this.#context.pointer, ggmlType.i8, 1, 1)
    this.#source = bytesTensor()
    this.#target = bytesTensor()
  }

  /** Carries out a plan's copies, whole blocks at a time. */
  copy(copies: readonly BlockCopy[]): void {
    if (copies.length === 0) return
    const targets = new Set(copies.map(({ to }) => to))
    invariant(targets.size === copies.length, 'two copies go to one block')
    invariant(!copies.some(({ from }) => targets.has(from)), 'a block is copied to and from in one step')
    for (const run of copyRuns(copies)) for (const half of this.#halves) this.#copyRun(half, run)
  }

  /** Copies the extents' blocks to `bytes`, one behind the other, without holding up JavaScript for long. */
  async read(extents: readonly Extent[], bytes: Uint8Array): Promise<void> {
    await this.#transfer(this.#backend.ggml.getTensor2d, extents, bytes)
  }

  /** Copies blocks from `bytes` to the extents, without holding up JavaScript for long. */
  async write(extents: readonly Extent[], bytes: Uint8Array): Promise<void> {
    await this.#transfer(this.#backend.ggml.setTensor2d, extents, bytes)
  }

  close(): void {
    this.#context.close()
  }

  /** One call for each half of a layer and each extent, with the blocks' parts a whole block apart in `bytes`. */
  async #transfer(move: Transfer, extents: readonly Extent[], bytes: Uint8Array): Promise<void> {
    const base = addressOf(bytes)
    let at = 0
    let unbroken = 0
    for (const { start, length } of extents) {
      invariant((at + length) * this.bytesPerBlock <= bytes.length, 'the staging memory is too small')
      for (const { tensor, blockBytes, stagingOffset } of this.#halves) {
        const host = base + at * this.bytesPerBlock + stagingOffset
        const run = [start * blockBytes, blockBytes, length, blockBytes, this.bytesPerBlock] as const
        const numBytes = length * blockBytes
        // A transfer under way holds only addresses: `bytes` itself is kept alive by this frame.
        if (numBytes > largestDirect) {
          await transferAsync(move, tensor, host, ...run)
          continue
        }
        move(tensor, host, ...run)
        unbroken += numBytes
        if (unbroken < longestDirect) continue
        await setImmediate()
        unbroken = 0
      }
      at += length
    }
  }

  #copyRun({ tensor, address, blockBytes }: MovedHalf, { from, to, length }: CopyRun): void {
    const { ggml, isCpu } = this.#backend
    const numBytes = length * blockBytes
    if (isCpu) {
      ggml.setTensor(tensor, address + from * blockBytes, to * blockBytes, numBytes)
      return
    }
    this.#point(this.#source, address + from * blockBytes, numBytes)
    this.#point(this.#target, address + to * blockBytes, numBytes)
    ggml.copyTensor(this.#source, this.#target)
  }

  #point(tensor: Pointer, address: Pointer, numBytes: number): void {
    this.#context.setShape2d(tensor, numBytes, 1, 1)
    this.#context.place(tensor, this.#pool.buffer, address)
  }
}

interface CopyRun {
  readonly from: number
  readonly to: number
  length: number
}

/** Joins copies whose sources and whose targets lie side by side. */
function copyRuns(copies: readonly BlockCopy[]): CopyRun[] {
  const runs: CopyRun[] = []
  for (const { from, to } of copies.toSorted((a, b) => a.from - b.from)) {
    const last = runs.at(-1)
    if (last !== undefined && last.from + last.length === from && last.to + last.length === to) last.length++
    else runs.push({ from, to, length: 1 })
  }
  return runs
}

type Transfer = Backend['ggml']['getTensor2d']

function transferAsync(move: Transfer, ...values: Parameters<Transfer>): Promise<void> {
  return new Promise((resolve, reject) => {
    move.async(...values, (error) => (error === null ? resolve() : reject(error)))
  })
}
