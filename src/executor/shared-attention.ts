/**
 * Attention of sequences that share their leading KV. Their queries are stacked, a KV head's all together, and meet
 * the shared keys once, in tiles of a matrix product; the tails follow in the same key list, each masked for all but
 * its own sequence. One softmax runs over both, so the result is that of attending alone, up to rounding.
 * The idea is Hydragen's (Juravsky et al., arXiv 2402.05099).
 */
import { invariant } from '../core/errors.ts'
import type { Pointer } from '../ggml/functions.ts'
import { ggmlType } from '../ggml/tensor-struct.ts'
import type { ProjectedRows } from '../model/graph/decoder.ts'
import type { GraphBuilder } from '../model/graph/graph-builder.ts'
import type { AttendingEntries, AttentionNodes } from './attention-nodes.ts'
import type { SharedUnit } from './attention-plan.ts'
import { GatheredKv } from './gathered-kv.ts'
import { copySlots, lengthOf } from './shared-groups.ts'
import { attendStacked } from './stacked-attention.ts'
import type { GraphEnvironment } from './step-graph.ts'

export class SharedAttention implements AttentionNodes {
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
    const { numSequences, numRows } = this.#unit
    attendStacked(this.#builder, this.#environment, rows, attended, {
      firstRow: this.#firstRow,
      numTokens: numSequences,
      numRows,
      ...this.#kv.addLayer(rows.layer),
      mask: this.#mask,
    })
  }

  get numEntries(): number {
    return this.#unit.numSequences
  }

  maskElements(step: AttendingEntries, index: number, first: number): number {
    return this.#lengths(step, index, first).numKeys * this.#unit.numRows
  }

  patch(step: AttendingEntries, index: number, first: number): void {
    const { inputs, model } = this.#environment
    const { context } = this.#builder
    const { numShared, numKeys, runs: own } = this.#lengths(step, index, first)
    const slots = inputs.gatheredSlots(numKeys)
    let end = copySlots(own[0] ?? [], 0, numShared, slots.values, 0)
    const tails = own.map((runs) => {
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

  #lengths({ units, runs }: AttendingEntries, index: number, first: number) {
    const unit = units[index]
    invariant(unit?.kind === 'shared', 'a graph meets a step of another shape')
    const numShared = unit.numSharedTokens
    const own = runs.slice(first, first + this.#unit.numSequences)
    const numKeys = own.reduce((sum, each) => sum + lengthOf(each) - numShared, numShared)
    return { numShared, numKeys, runs: own }
  }
}
