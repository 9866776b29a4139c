/**
 * ggml's operators as methods that also give each result its memory: a fresh piece of the arena, or (`...InPlace`)
 * the memory of an operand that nobody needs afterwards. It knows shapes and memory, not models.
 */
import type { GgmlFunctions, Pointer } from '../../ggml/functions.ts'
import type { GraphContext } from '../../ggml/graph-context.ts'
import type { Arena } from './arena.ts'

/** `ggml_mul_mat_set_hint(product, GGML_HINT_SRC0_IS_HADAMARD)`: the operator parameter and its value. */
const hintParam = 1
const hintHadamard = 1

export interface RopeParams {
  readonly numDimensions: number
  /** ggml's mode: 0 pairs neighbours, 2 (NeoX) pairs halves. */
  readonly mode: number
  readonly originalContext: number
  readonly freqBase: number
  readonly freqScale: number
  readonly extFactor: number
  readonly attnFactor: number
  readonly betaFast: number
  readonly betaSlow: number
}

export class GraphBuilder {
  readonly ggml: GgmlFunctions
  readonly context: GraphContext
  readonly graph: Pointer
  readonly arena: Arena
  readonly #buffer: Pointer

  constructor(ggml: GgmlFunctions, context: GraphContext, graph: Pointer, arena: Arena, buffer: Pointer) {
    this.ggml = ggml
    this.context = context
    this.graph = graph
    this.arena = arena
    this.#buffer = buffer
  }

  /** A tensor at a known address (an input; `buffer` as for views), or room that others write into. */
  tensor(type: number, ne0: number, ne1: number, address?: Pointer, buffer?: Pointer): Pointer {
    const tensor = this.ggml.newTensor2d(this.context.pointer, type, ne0, ne1)
    this.point(tensor, address ?? this.arena.take(this.context.numBytes(tensor)), buffer)
    return tensor
  }

  /** Moves an input to where it lies in this step. */
  point(tensor: Pointer, address: Pointer, buffer: Pointer = this.#buffer): void {
    this.context.place(tensor, buffer, address)
  }

  /** `buffer`: where the source lives, when that is not the compute buffer. Likewise below. */
  view2d(
    source: Pointer,
    shape: readonly [number, number],
    nb1: number,
    offset: number,
    buffer?: Pointer,
  ): Pointer {
    const view = this.ggml.view2d(this.context.pointer, source, shape[0], shape[1], nb1, offset)
    return this.#keepData(view, buffer)
  }

  /** `shape` [ne0, ne1, ne2]; `strides` [nb1, nb2] in bytes. */
  view3d(
    source: Pointer,
    shape: readonly [number, number, number],
    strides: readonly [number, number],
    offset: number,
    buffer?: Pointer,
  ): Pointer {
    const [ne0, ne1, ne2] = shape
    const [nb1, nb2] = strides
    const view = this.ggml.view3d(this.context.pointer, source, ne0, ne1, ne2, nb1, nb2, offset)
    return this.#keepData(view, buffer)
  }

  /** `shape` [ne0, ne1, ne2, ne3]; `strides` [nb1, nb2, nb3] in bytes. */
  view4d(
    source: Pointer,
    shape: readonly [number, number, number, number],
    strides: readonly [number, number, number],
    offset: number,
    buffer?: Pointer,
  ): Pointer {
    const view = this.ggml.view4d(this.context.pointer, source, ...shape, ...strides, offset)
    return this.#keepData(view, buffer)
  }

  getRows(table: Pointer, rows: Pointer): Pointer {
    return this.#place(this.ggml.getRows(this.context.pointer, table, rows))
  }

  /** Like `getRows`, into memory that outlives the layer. */
  getRowsInto(table: Pointer, rows: Pointer, buffer: Pointer, address: Pointer): Pointer {
    const result = this.ggml.getRows(this.context.pointer, table, rows)
    this.context.place(result, buffer, address)
    return result
  }

  /** Writes the rows of `source` into `table` at `rows`; part of the graph at once. */
  setRows(table: Pointer, source: Pointer, rows: Pointer, buffer: Pointer): void {
    this.expand(this.#keepData(this.ggml.setRows(this.context.pointer, table, source, rows), buffer))
  }

  /** Copies `source` over `target`; part of the graph at once. Returns the copying node. */
  copy(source: Pointer, target: Pointer, buffer: Pointer): Pointer {
    const node = this.#keepData(this.ggml.copy(this.context.pointer, source, target), buffer)
    this.expand(node)
    return node
  }

  mulMat(weight: Pointer, x: Pointer): Pointer {
    return this.#place(this.ggml.mulMat(this.context.pointer, weight, x))
  }

  /** A product with an orthonormal Hadamard matrix, which a kernel may do as a fast transform. */
  mulHadamard(matrix: Pointer, x: Pointer): Pointer {
    const product = this.mulMat(matrix, x)
    this.context.setIntParam(product, hintParam, hintHadamard)
    return product
  }

  addInPlace(x: Pointer, y: Pointer): Pointer {
    return this.#over(this.ggml.add(this.context.pointer, x, y), x)
  }

  /** RMS norm times a learned weight. `x` stays as it is. */
  norm(x: Pointer, weight: Pointer, epsilon: number): Pointer {
    const normed = this.#place(this.ggml.rmsNorm(this.context.pointer, x, epsilon))
    return this.#over(this.ggml.mul(this.context.pointer, normed, weight), normed)
  }

  rope(x: Pointer, positions: Pointer, factors: Pointer, rope: RopeParams): Pointer {
    return this.#place(
      this.ggml.rope(
        this.context.pointer,
        x,
        positions,
        factors,
        rope.numDimensions,
        rope.mode,
        rope.originalContext,
        rope.freqBase,
        rope.freqScale,
        rope.extFactor,
        rope.attnFactor,
        rope.betaFast,
        rope.betaSlow,
      ),
    )
  }

  /** silu(first half of each row) * second half. */
  swiglu(gateUp: Pointer): Pointer {
    return this.#place(this.ggml.swiglu(this.context.pointer, gateUp))
  }

  swigluSplit(gate: Pointer, up: Pointer): Pointer {
    return this.#over(this.ggml.swigluSplit(this.context.pointer, gate, up), gate)
  }

  /** Attention of `q` [headDim, rows, heads] over k and v [headDim, tokens, kvHeads], written to `address`. */
  attention(q: Pointer, k: Pointer, v: Pointer, mask: Pointer, scale: number, address: Pointer): Pointer {
    const result = this.ggml.flashAttention(this.context.pointer, q, k, v, mask, scale, 0, 0)
    this.context.place(result, this.#buffer, address)
    this.expand(result)
    return result
  }

  softMax(x: Pointer, scale: number): Pointer {
    return this.#place(this.ggml.softMax(this.context.pointer, x, 0, scale, 0))
  }

  softMaxInPlace(x: Pointer): Pointer {
    return this.#over(this.ggml.softMax(this.context.pointer, x, 0, 1, 0), x)
  }

  /** Each row of `x` [n, rows] times its own factor of `factors` [1, rows]. */
  scaleRows(x: Pointer, factors: Pointer): Pointer {
    return this.#place(this.ggml.mul(this.context.pointer, x, factors))
  }

  /** Of each row of `x` [n, rows] the elements `ids` [k, rows], written to `address`; part of the graph at once. */
  pick(x: Pointer, ids: Pointer, address: Pointer): Pointer {
    const { context } = this
    const rowBytes = context.ne(x, 0) * 4
    const columns = this.view3d(x, [1, context.ne(x, 0), context.ne(x, 1)], [4, rowBytes], 0)
    const picked = this.ggml.getRows(context.pointer, columns, ids)
    context.place(picked, this.#buffer, address)
    this.expand(picked)
    return picked
  }

  topK(x: Pointer, k: number): Pointer {
    return this.#place(this.ggml.topK(this.context.pointer, x, k))
  }

  /** Adds a node, and whatever it needs, to the end of the graph. */
  expand(tensor: Pointer): void {
    this.ggml.expand(this.graph, tensor)
  }

  #place(tensor: Pointer): Pointer {
    this.context.place(tensor, this.#buffer, this.arena.take(this.context.numBytes(tensor)))
    return tensor
  }

  #over(tensor: Pointer, operand: Pointer): Pointer {
    this.context.place(tensor, this.#buffer, this.context.data(operand))
    return tensor
  }

  /** A view knows its data already; a device backend also wants its buffer. */
  #keepData(tensor: Pointer, buffer: Pointer = this.#buffer): Pointer {
    this.context.place(tensor, buffer, this.context.data(tensor))
    return tensor
  }
}
