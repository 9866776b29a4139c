/**
 * Attention of one sequence over its own KV, on one of four paths: `direct` reads a single extent in place; `span`
 * reads everything from its first slot to its last in place and masks what belongs to others; `gather` first copies
 * several extents together; `floats` does so as floats, for the tiled kernel to read quantised KV.
 */
import { invariant } from '../core/errors.ts'
import type { Pointer } from '../ggml/functions.ts'
import { ggmlType } from '../ggml/tensor-struct.ts'
import type { ProjectedRows } from '../model/graph/decoder.ts'
import type { GraphBuilder } from '../model/graph/graph-builder.ts'
import type { AttendingEntries, AttentionNodes } from './attention-nodes.ts'
import type { SingleUnit } from './attention-plan.ts'
import { GatheredKv } from './gathered-kv.ts'
import { KvView, type SlotRun } from './kv-view.ts'
import { copySlots, coveringRun, lengthOf } from './shared-groups.ts'
import { attendStacked } from './stacked-attention.ts'
import type { GraphEnvironment } from './step-graph.ts'

export class SingleAttention implements AttentionNodes {
  readonly numEntries = 1
  readonly #builder: GraphBuilder
  readonly #environment: GraphEnvironment
  readonly #unit: SingleUnit
  readonly #firstRow: number
  readonly #view: KvView | GatheredKv
  /** Undefined where a single row sees all there is. */
  readonly #mask: Pointer | undefined
  readonly #numMaskRows: number

  constructor(builder: GraphBuilder, environment: GraphEnvironment, unit: SingleUnit, firstRow: number) {
    this.#builder = builder
    this.#environment = environment
    this.#unit = unit
    this.#firstRow = firstRow
    const heads = environment.model.hyperparameters
    const numExtents = unit.path === 'gather' ? unit.numExtents : 1
    this.#view =
      unit.path === 'floats'
        ? new GatheredKv(builder, environment)
        : new KvView(builder, environment.pool, heads, numExtents, unit.path === 'span')
    const isMasked = unit.numTokens > 1 || unit.path === 'span'
    this.#numMaskRows = unit.numStackedRows > 0 ? unit.numStackedRows : unit.numTokens
    this.#mask = isMasked ? builder.tensor(ggmlType.f16, 1, this.#numMaskRows, 0) : undefined
  }

  addLayer(rows: ProjectedRows, attended: Pointer): void {
    if (this.#unit.numStackedRows > 0) this.#addStacked(rows, attended)
    else this.#addPlain(rows, attended)
  }

  #addStacked(rows: ProjectedRows, attended: Pointer): void {
    const { numTokens, numStackedRows } = this.#unit
    attendStacked(this.#builder, this.#environment, rows, attended, {
      firstRow: this.#firstRow,
      numTokens,
      numRows: numStackedRows,
      ...this.#view.addLayer(rows.layer),
      mask: this.#mask ?? 0,
    })
  }

  #addPlain(rows: ProjectedRows, attended: Pointer): void {
    const { headDim, numHeads, numKvHeads, attentionScale } = this.#environment.model.hyperparameters
    const headBytes = headDim * 4
    const { k, v } = this.#view.addLayer(rows.layer)
    const groupSize = numHeads / numKvHeads
    const offset = this.#firstRow * rows.qRowBytes
    // With a KV head a "batch", rows are dealt out to threads; with one of them, keys would be, masked ones too.
    const q =
      this.#unit.path === 'span'
        ? this.#builder.view4d(
            rows.q,
            [headDim, 1, groupSize, numKvHeads],
            [rows.qRowBytes, headBytes, groupSize * headBytes],
            offset,
          )
        : this.#builder.view3d(
            rows.q,
            [headDim, this.#unit.numTokens, numHeads],
            [rows.qRowBytes, headBytes],
            offset,
          )
    const address = this.#builder.context.data(attended) + this.#firstRow * headBytes * numHeads
    this.#builder.attention(q, k, v, this.#mask ?? 0, attentionScale, address)
  }

  maskElements(step: AttendingEntries, _index: number, first: number): number {
    if (this.#mask === undefined) return 0
    const entry = step.entries[first]
    const runs = step.runs[first]
    if (entry === undefined || runs === undefined) return 0
    if (this.#unit.path === 'span') return coveringRun(runs).length
    return this.#numMaskRows * (entry.position + entry.tokens.length)
  }

  patch(step: AttendingEntries, _index: number, first: number): void {
    const entry = step.entries[first]
    const runs = step.runs[first]
    invariant(entry !== undefined && runs !== undefined, 'a unit without an entry')
    const covering = this.#unit.path === 'span' ? coveringRun(runs) : undefined
    this.#patchKv(covering === undefined ? runs : [covering])
    if (this.#mask === undefined) return
    const { inputs } = this.#environment
    const numKeys = covering?.length ?? entry.position + entry.tokens.length
    const address =
      covering === undefined ? this.#causalMask(entry.position) : inputs.spanMask(covering, runs)
    this.#builder.context.setShape2d(this.#mask, numKeys, this.#numMaskRows, 2)
    this.#builder.point(this.#mask, address, inputs.maskBuffer)
    inputs.uploadMask(this.#mask, address, numKeys * this.#numMaskRows)
  }

  #causalMask(position: number): Pointer {
    const { inputs, model } = this.#environment
    const { numTokens, numStackedRows } = this.#unit
    const { numHeads, numKvHeads } = model.hyperparameters
    const rowsPerToken = numStackedRows > 0 ? numHeads / numKvHeads : 1
    return inputs.causalMask({ position, numTokens, rowsPerToken, numRows: this.#numMaskRows })
  }

  #patchKv(runs: readonly SlotRun[]): void {
    if (this.#view instanceof KvView) {
      this.#view.patch(runs)
      return
    }
    const numKeys = lengthOf(runs)
    const slots = this.#environment.inputs.gatheredSlots(numKeys)
    copySlots(runs, 0, numKeys, slots.values, 0)
    this.#view.patch(slots, numKeys)
  }
}
