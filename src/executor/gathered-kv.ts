/**
 * KV of one layer after the other, gathered as floats by lists of slots: for attention in tiles, whose kernel reads
 * floats of one piece whatever the cache's type.
 */
import type { Pointer } from '../ggml/functions.ts'
import { ggmlType } from '../ggml/tensor-struct.ts'
import type { GraphBuilder } from '../model/graph/graph-builder.ts'
import type { KvHalf } from './kv-pool.ts'
import type { GraphEnvironment } from './step-graph.ts'
import type { InputArray } from './step-inputs.ts'

/** K or V of a layer: the rows, and attention's view of them by heads. */
interface GatheredHalf {
  readonly half: KvHalf
  readonly rows: Pointer
  readonly heads: Pointer
}

export class GatheredKv {
  readonly #builder: GraphBuilder
  readonly #environment: GraphEnvironment
  readonly #slots: Pointer
  readonly #halves: GatheredHalf[] = []

  constructor(builder: GraphBuilder, environment: GraphEnvironment) {
    this.#builder = builder
    this.#environment = environment
    this.#slots = builder.tensor(ggmlType.i32, 1, 1, 0)
  }

  /** Adds the gathering of a layer to the graph and returns what attention takes. */
  addLayer(layer: number): { readonly k: Pointer; readonly v: Pointer } {
    const { pool, gatherRoom } = this.#environment
    return {
      k: this.#gather(pool.k, layer, gatherRoom.k),
      v: this.#gather(pool.v, layer, gatherRoom.v),
    }
  }

  /** Points all layers at the first `numKeys` of `slots`. */
  patch(slots: InputArray, numKeys: number): void {
    const { context } = this.#builder
    context.setShape2d(this.#slots, numKeys, 1, 4)
    context.setData(this.#slots, slots.address)
    for (const { half, rows, heads } of this.#halves) {
      context.setRows2d(rows, numKeys, half.rowElements * 4)
      context.setNumRows(heads, numKeys)
    }
  }

  #gather(half: KvHalf, layer: number, room: Pointer): Pointer {
    const { model, gatherRoom } = this.#environment
    const { headDim, numKvHeads } = model.hyperparameters
    const table = half.layers[layer]?.tensor ?? 0
    const rows = this.#builder.getRowsInto(table, this.#slots, gatherRoom.buffer, room)
    const strides = [half.rowElements * 4, headDim * 4] as const
    const heads = this.#builder.view3d(rows, [headDim, 1, numKvHeads], strides, 0, gatherRoom.buffer)
    this.#halves.push({ half, rows, heads })
    return heads
  }
}
