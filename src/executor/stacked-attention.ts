/**
 * Attention with the queries of all heads that share a KV head stacked, token after token, as rows of one matrix: where
 * a few tokens look at many keys, that fills the tiles of the matrix kernel, which reads a key once for all of them.
 */
import type { Pointer } from '../ggml/functions.ts'
import { ggmlType } from '../ggml/tensor-struct.ts'
import type { ProjectedRows } from '../model/graph/decoder.ts'
import type { GraphBuilder } from '../model/graph/graph-builder.ts'
import type { GraphEnvironment } from './step-graph.ts'

type Strides = readonly [token: number, query: number, kvHead: number]

export interface StackedRows {
  readonly firstRow: number
  readonly numTokens: number
  /** Stacked queries a KV head, with those that only pad. */
  readonly numRows: number
  /** [headDim, keys, kvHeads]. */
  readonly k: Pointer
  readonly v: Pointer
  /** [keys, numRows]. */
  readonly mask: Pointer
}

/** Tensors that it adds to a graph. */
export const numStackedNodes = 10

/** Writes the rows [firstRow, firstRow + numTokens) of `attended`. */
export function attendStacked(
  builder: GraphBuilder,
  { model, compute }: GraphEnvironment,
  rows: ProjectedRows,
  attended: Pointer,
  { firstRow, numTokens, numRows, k, v, mask }: StackedRows,
): void {
  const { headDim, numHeads, numKvHeads, attentionScale } = model.hyperparameters
  const groupSize = numHeads / numKvHeads
  const head = headDim * 4
  /** The same heads, kept in another order. */
  const heads = (source: Pointer, strides: Strides, offset: number) =>
    builder.view4d(source, [headDim, numTokens, groupSize, numKvHeads], strides, offset)
  const mark = builder.arena.mark()
  const queries = builder.tensor(ggmlType.f32, headDim, numRows * numKvHeads)
  builder.copy(
    heads(rows.q, [rows.qRowBytes, head, groupSize * head], firstRow * rows.qRowBytes),
    heads(queries, [groupSize * head, head, numRows * head], 0),
    compute.buffer,
  )
  const stacked = builder.view3d(queries, [headDim, numRows, numKvHeads], [head, numRows * head], 0)
  const address = builder.arena.take(head * numKvHeads * numRows)
  const result = builder.attention(stacked, k, v, mask, attentionScale, address)
  const rowBytes = head * numHeads
  builder.copy(
    heads(result, [groupSize * numKvHeads * head, numKvHeads * head, head], 0),
    heads(attended, [rowBytes, head, groupSize * head], firstRow * rowBytes),
    compute.buffer,
  )
  builder.arena.reset(mark)
}
