/**
 * Attention of sequences that share their leading KV. Their queries are stacked, a KV head's all together, and meet
 * the shared keys once, in tiles of a matrix product; the tails follow in the same key list, each masked for all but
 * its own sequence. One softmax runs over both, so the result is that of attending alone, up to rounding.
 * The idea is Hydragen's (Juravsky et al., arXiv 2402.05099).
 */
import type { Pointer } from '../ggml/functions.ts'
import { ggmlType } from '../ggml/tensor-struct.ts'
import type { ProjectedRows } from '../model/graph/decoder.ts'
import type { GraphBuilder } from '../model/graph/graph-builder.ts'
import type { AttentionNodes, StepPart } from './attention-nodes.ts'
import type { SharedUnit } from './attention-plan.ts'
import { GatheredKv } from './gathered-kv.ts'
import { copySlots, lengthOf } from './shared-groups.ts'
import type { GraphEnvironment } from './step-graph.ts'

type Strides = readonly [sequence: number, query: number, kvHead: number]

export class SharedAttention implements AttentionNodes<SharedUnit> {
  readonly #builder: GraphBuilder
  readonly #environment: GraphEnvironment
  readonly #unit: Pick<SharedUnit, 'numSequences' | 'numRows'>
  readonly #firstRow: number
  readonly #kv: GatheredKv
  readonly #mask: Pointer

  constructor(builder: GraphBuilder, environment: GraphEnvironment, unit: SharedUnit, firstRow: number) {
    this.#builder = builder
    this.#environment = environment
    this.#unit = unit
    this.#firstRow = firstRow
    this.#kv = new GatheredKv(builder, environment)
    this.#mask = builder.tensor(ggmlType.f16, 1, unit.numRows, 0)
  }

  addLayer(rows: ProjectedRows, attended: Pointer): void {
    const builder = this.#builder
    const { model } = this.#environment
    const { headDim, numHeads, numKvHeads, attentionScale } = model.hyperparameters
    const { numRows } = this.#unit
    const { k, v } = this.#kv.addLayer(rows.layer)
    const mark = builder.arena.mark()

    const head = headDim * 4
    const groupSize = numHeads / numKvHeads
    const queries = builder.tensor(ggmlType.f32, headDim, numRows * numKvHeads)
    this.#copyHeads(
      this.#heads(rows.q, [rows.qRowBytes, head, groupSize * head], this.#firstRow * rows.qRowBytes),
      this.#heads(queries, [groupSize * head, head, numRows * head], 0),
    )
    const stacked = builder.view3d(queries, [headDim, numRows, numKvHeads], [head, numRows * head], 0)
    const address = builder.arena.take(head * numKvHeads * numRows)
    const result = builder.attention(stacked, k, v, this.#mask, attentionScale, address)
    const rowBytes = head * numHeads
    this.#copyHeads(
      this.#heads(result, [groupSize * numKvHeads * head, numKvHeads * head, head], 0),
      this.#heads(attended, [rowBytes, head, groupSize * head], this.#firstRow * rowBytes),
    )
    builder.arena.reset(mark)
  }

  maskElements(part: StepPart<SharedUnit>): number {
    return numKeysOf(part) * this.#unit.numRows
  }

  patch(part: StepPart<SharedUnit>): void {
    const { inputs, model } = this.#environment
    const { context } = this.#builder
    const numShared = part.unit.numSharedTokens
    const numKeys = numKeysOf(part)
    const slots = inputs.gatheredSlots(numKeys)
    let end = copySlots(part.runs[0] ?? [], 0, numShared, slots.values, 0)
    const tails = part.runs.map((runs) => {
      const start = end
      end = copySlots(runs, numShared, lengthOf(runs), slots.values, start)
      return { start, end }
    })
    const rowsPerTail = model.hyperparameters.numHeads / model.hyperparameters.numKvHeads
    const mask = inputs.tailsMask({ numKeys, numRows: this.#unit.numRows, numShared, rowsPerTail, tails })
    context.setShape2d(this.#mask, numKeys, this.#unit.numRows, 2)
    context.setData(this.#mask, mask)
    this.#kv.patch(slots, numKeys)
  }

  /** [headDim, sequences, queries of a KV head, KV heads] of rows that are kept in another order. */
  #heads(source: Pointer, strides: Strides, offset: number): Pointer {
    const { headDim, numHeads, numKvHeads } = this.#environment.model.hyperparameters
    const shape = [headDim, this.#unit.numSequences, numHeads / numKvHeads, numKvHeads] as const
    return this.#builder.view4d(source, shape, strides, offset)
  }

  #copyHeads(source: Pointer, target: Pointer): void {
    this.#builder.copy(source, target, this.#environment.compute.buffer)
  }
}

function numKeysOf({ runs, unit }: StepPart<SharedUnit>): number {
  return runs.reduce((sum, own) => sum + lengthOf(own) - unit.numSharedTokens, unit.numSharedTokens)
}
