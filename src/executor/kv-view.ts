/**
 * Where attention finds one sequence's KV. In one extent it is a plain view of the pool. In several, their rows are
 * first gathered into the scratch room. The graph is built once; from step to step only addresses and lengths change.
 */
import type { Pointer } from '../ggml/functions.ts'
import type { GraphBuilder } from '../model/graph/graph-builder.ts'
import type { KvHalf, KvPool } from './kv-pool.ts'

/** A run of token slots: the used part of an extent. */
export interface SlotRun {
  readonly slot: number
  readonly length: number
}

interface GatherCopy {
  readonly source: Pointer
  readonly target: Pointer
  readonly node: Pointer
}

interface LayerView {
  readonly half: KvHalf
  readonly layer: number
  /** What attention reads: [headDim, tokens, kvHeads]. */
  readonly tensor: Pointer
  /** One per extent when there are several. */
  readonly copies: readonly GatherCopy[]
}

export class KvView {
  readonly #layers: LayerView[] = []
  readonly #builder: GraphBuilder
  readonly #pool: KvPool
  readonly #heads: { readonly headDim: number; readonly numKvHeads: number }
  readonly #numExtents: number
  /** The KV heads are ne[3] of the views instead of ne[2]. */
  readonly #headsApart: boolean
  /** What the tensors say now; rewritten only where a step differs. */
  #slots: number[]
  #lengths: number[]

  constructor(
    builder: GraphBuilder,
    pool: KvPool,
    heads: { readonly headDim: number; readonly numKvHeads: number },
    numExtents: number,
    headsApart = false,
  ) {
    this.#builder = builder
    this.#pool = pool
    this.#heads = heads
    this.#numExtents = numExtents
    this.#headsApart = headsApart
    this.#slots = Array.from({ length: numExtents }, () => 0)
    this.#lengths = Array.from({ length: numExtents }, () => 1)
  }

  /** Adds this layer's views (and copies) to the graph and returns what attention takes. */
  addLayer(layer: number): { readonly k: Pointer; readonly v: Pointer } {
    return { k: this.#add(this.#pool.k, layer), v: this.#add(this.#pool.v, layer) }
  }

  /** Points the graph at this step's runs; as many as the view was built for. */
  patch(runs: readonly SlotRun[]): void {
    let offset = 0
    let total = 0
    for (const run of runs) total += run.length
    for (let index = 0; index < runs.length; index++) {
      const { slot, length } = runs[index] as SlotRun
      this.#patchRun(index, slot, length, offset)
      offset += length
    }
    if (this.#numExtents === 1) return
    for (const view of this.#layers) this.#builder.context.setNumRows(view.tensor, total)
  }

  #patchRun(index: number, slot: number, length: number, offset: number): void {
    const { context } = this.#builder
    const moved = this.#slots[index] !== slot
    const grown = this.#lengths[index] !== length
    this.#slots[index] = slot
    this.#lengths[index] = length
    for (const { half, layer, tensor, copies } of this.#layers) {
      const base = half.layers[layer]?.address ?? 0
      const copy = copies[index]
      if (copy === undefined) {
        if (moved) context.setData(tensor, base + slot * half.rowBytes)
        if (grown) context.setNumRows(tensor, length)
        continue
      }
      if (moved) context.setData(copy.source, base + slot * half.rowBytes)
      context.setRows2d(copy.source, length, half.rowBytes)
      for (const end of [copy.target, copy.node]) {
        context.setRows2d(end, length, half.rowBytes)
        context.setData(end, half.scratch.address + offset * half.rowBytes)
      }
    }
  }

  #add(half: KvHalf, layer: number): Pointer {
    const source = half.layers[layer]?.tensor ?? 0
    const isGathered = this.#numExtents > 1
    const copies = isGathered
      ? Array.from({ length: this.#numExtents }, () => this.#addCopy(half, source))
      : []
    const memory = isGathered ? half.scratch.tensor : source
    const { headDim, numKvHeads } = this.#heads
    const { rowBytes, headBytes } = half
    const tensor = this.#headsApart
      ? this.#builder.view4d(
          memory,
          [headDim, 1, 1, numKvHeads],
          [rowBytes, headBytes, headBytes],
          0,
          this.#pool.buffer,
        )
      : this.#builder.view3d(memory, [headDim, 1, numKvHeads], [rowBytes, headBytes], 0, this.#pool.buffer)
    this.#layers.push({ half, layer, tensor, copies })
    return tensor
  }

  #addCopy(half: KvHalf, pool: Pointer): GatherCopy {
    const { buffer } = this.#pool
    const source = this.#builder.view2d(pool, [half.rowElements, 1], half.rowBytes, 0, buffer)
    const target = this.#builder.view2d(half.scratch.tensor, [half.rowElements, 1], half.rowBytes, 0, buffer)
    return { source, target, node: this.#builder.copy(source, target, buffer) }
  }
}
