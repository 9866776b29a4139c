/**
 * Copies whole blocks of KV in all layers within the pool: a plan's copies. Blocks that lie side by side go as one run.
 * Between the pool and memory of the host: `pool-blocks.ts`.
 */
import { invariant } from '../core/errors.ts'
import type { Backend } from '../ggml/backend.ts'
import type { Pointer } from '../ggml/functions.ts'
import { GraphContext } from '../ggml/graph-context.ts'
import { ggmlType } from '../ggml/tensor-struct.ts'
import type { BlockCopy } from '../scheduler/step-plan.ts'
import type { KvHalf, KvPool } from './kv-pool.ts'
import { PoolBlocks, type PoolHalf } from './pool-blocks.ts'

export class BlockMover {
  /** The same blocks, as what carries them elsewhere sees them. */
  readonly blocks: PoolBlocks
  readonly #backend: Backend
  readonly #pool: KvPool
  readonly #halves: readonly PoolHalf[]
  readonly #context: GraphContext
  /** The ends of a copy on a device: tensors of bytes, pointed at one run after the other. */
  readonly #source: Pointer
  readonly #target: Pointer

  constructor(backend: Backend, pool: KvPool, blockSize: number) {
    this.#backend = backend
    this.#pool = pool
    const halves: PoolHalf[] = []
    let offset = 0
    pool.k.layers.forEach((_, layer) => {
      for (const half of [pool.k, pool.v]) {
        const { tensor, address } = half.layers[layer] as KvHalf['scratch']
        const blockBytes = half.rowBytes * blockSize
        halves.push({ tensor, address, blockBytes, offset })
        offset += blockBytes
      }
    })
    this.#halves = halves
    const place = { device: backend.libraryDevice, bytesPerBlock: offset, halves }
    this.blocks = new PoolBlocks(place, backend.ggml)
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

  close(): void {
    this.#context.close()
  }

  #copyRun({ tensor, address, blockBytes }: PoolHalf, { from, to, length }: CopyRun): void {
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
