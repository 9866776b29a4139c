/**
 * The graph of one step shape. Building it calls into ggml some twenty times a layer; a later step of the same shape
 * only fills inputs and patches where each sequence's KV lies. That keeps JavaScript's share of a decode step small.
 */
import { ggmlType } from '../ggml/tensor-struct.ts'
import type { Pointer } from '../ggml/functions.ts'
import { GraphContext } from '../ggml/graph-context.ts'
import type { Backend } from '../ggml/backend.ts'
import { Arena } from '../model/graph/arena.ts'
import { buildDecoder, type DecoderModel, type ProjectedRows } from '../model/graph/decoder.ts'
import { GraphBuilder } from '../model/graph/graph-builder.ts'
import type { StepPlan } from '../scheduler/step-plan.ts'
import type { KvPool } from './kv-pool.ts'
import { KvView, type SlotRun } from './kv-view.ts'
import type { StepInputs } from './step-inputs.ts'
import type { MassKind, MassReduction, StepShape } from './step-shape.ts'

/** What all graphs of an executor share. */
export interface GraphEnvironment {
  readonly backend: Backend
  readonly model: DecoderModel
  readonly pool: KvPool
  readonly inputs: StepInputs
  readonly compute: { readonly buffer: Pointer; readonly address: Pointer; readonly numBytes: number }
}

/** A result: its tensor, and where it lies in the compute buffer. */
export interface OutputTensor {
  readonly tensor: Pointer
  readonly address: Pointer
}

export interface StepOutputs {
  /** F32 [vocab, outputs]. */
  readonly logits: OutputTensor
  /** I32 [topK, outputs], in no particular order; and their logits, F32. */
  readonly topIds: OutputTensor
  readonly topLogits: OutputTensor
  /** F32 [topK, outputs] for each reduction: their part of the row's mass. */
  readonly shares: readonly OutputTensor[]
}

interface EntryNodes {
  readonly view: KvView
  /** The causal mask; undefined for a single row, which sees everything there is. */
  readonly mask: Pointer | undefined
}

export class StepGraph {
  readonly shape: StepShape
  readonly graph: Pointer
  readonly outputs: StepOutputs | undefined
  readonly #environment: GraphEnvironment
  readonly #context: GraphContext
  readonly #builder: GraphBuilder
  readonly #entries: EntryNodes[]
  readonly #tensors: { tokens: Pointer; positions: Pointer; slots: Pointer; outputRows: Pointer | undefined }
  /** For each reduction the node that takes the temperature, or the input that takes one for each row. */
  readonly #massNodes: Pointer[] = []

  constructor(environment: GraphEnvironment, shape: StepShape) {
    const { backend, inputs, compute, pool } = environment
    this.shape = shape
    this.#environment = environment
    const numNodes = countNodes(environment.model.hyperparameters.numLayers, shape)
    const bytes = numNodes * backend.ggml.tensorOverhead() + backend.ggml.graphOverhead(numNodes, false)
    this.#context = new GraphContext(backend.ggml, bytes + 4096)
    this.graph = backend.ggml.newGraph(this.#context.pointer, numNodes, false)
    const arena = new Arena(compute.address, compute.numBytes)
    this.#builder = new GraphBuilder(backend.ggml, this.#context, this.graph, arena, compute.buffer)
    const { i32, f16 } = ggmlType
    const input = (rows: number, address: Pointer) => this.#builder.tensor(i32, rows, 1, address)
    const allRowsOut = shape.numOutputRows === shape.numRows && shape.numOutputs === shape.numTokens
    this.#tensors = {
      tokens: input(shape.numRows, inputs.tokens.address),
      positions: input(shape.numRows, inputs.positions.address),
      slots: input(shape.numTokens, inputs.slots.address),
      // A step that samples nothing still needs one row to go through the last layer.
      outputRows: allRowsOut ? undefined : input(Math.max(1, shape.numOutputRows), inputs.outputRows.address),
    }
    const heads = environment.model.hyperparameters
    this.#entries = shape.entries.map((entry) => ({
      view: new KvView(this.#builder, pool, heads, entry.numExtents),
      mask: entry.numTokens > 1 ? this.#builder.tensor(f16, 1, entry.numTokens, 0) : undefined,
    }))
    this.outputs = this.#build()
  }

  /** Writes this step's inputs and points the graph at its KV. */
  fill(plan: StepPlan, runs: readonly (readonly SlotRun[])[], reductions: readonly MassReduction[]): void {
    const { inputs } = this.#environment
    this.#fillRows(plan, runs)
    inputs.beginMasks(maskElements(plan))
    plan.entries.forEach((entry, index) => {
      const nodes = this.#entries[index] as EntryNodes
      nodes.view.patch(runs[index] ?? [])
      if (nodes.mask === undefined) return
      const numTokens = entry.tokens.length
      const numKeys = entry.position + numTokens
      const address = inputs.causalMask(entry.position, numTokens)
      this.#context.setShape2d(nodes.mask, numKeys, numTokens, 2)
      this.#context.setData(nodes.mask, address)
      inputs.uploadMask(nodes.mask, address, numKeys * numTokens)
    })
    reductions.forEach((reduction, index) => this.#fillReduction(reduction, index))
  }

  close(): void {
    this.#context.close()
  }

  #fillReduction({ kind, inverseTemperatures }: MassReduction, index: number): void {
    const node = this.#massNodes[index]
    const factors = this.#environment.inputs.rowFactors[index]
    if (node === undefined || factors === undefined) return
    if (kind === 'one') {
      this.#context.setFloatParam(node, 0, inverseTemperatures[0] ?? 1)
      return
    }
    factors.values.set(inverseTemperatures)
    this.#environment.inputs.upload(node, factors, inverseTemperatures.length)
  }

  #fillRows(plan: StepPlan, runs: readonly (readonly SlotRun[])[]): void {
    const { tokens, positions, slots, outputRows } = this.#environment.inputs
    let row = 0
    let output = 0
    for (let index = 0; index < plan.entries.length; index++) {
      const entry = plan.entries[index]
      if (entry === undefined) continue
      fillSlots(slots.values, row, runs[index] ?? [], entry.position)
      for (let offset = 0; offset < entry.tokens.length; offset++, row++) {
        tokens.values[row] = entry.tokens[offset] ?? 0
        positions.values[row] = entry.position + offset
      }
      if (entry.samples) outputRows.values[output++] = row - 1
    }
    const { numRows, numOutputRows, numTokens } = this.shape
    tokens.values.fill(0, row, numRows)
    positions.values.fill(0, row, numRows)
    outputRows.values.fill(0, output, Math.max(1, numOutputRows))
    const { inputs } = this.#environment
    inputs.upload(this.#tensors.tokens, tokens, numRows)
    inputs.upload(this.#tensors.positions, positions, numRows)
    inputs.upload(this.#tensors.slots, slots, numTokens)
    if (this.#tensors.outputRows !== undefined) {
      inputs.upload(this.#tensors.outputRows, outputRows, Math.max(1, numOutputRows))
    }
  }

  #build(): StepOutputs | undefined {
    const builder = this.#builder
    const { model } = this.#environment
    const inputs = { ...this.#tensors, numRows: this.shape.numRows }
    const logits = buildDecoder(builder, model, inputs, (rows) => this.#attend(rows))
    builder.expand(logits)
    if (this.shape.numOutputs === 0) return undefined
    const vocabSize = this.#context.ne(logits, 0)
    const wanted = builder.view2d(logits, [vocabSize, this.shape.numOutputs], vocabSize * 4, 0)
    const topIds = builder.topK(wanted, this.shape.topK)
    builder.expand(topIds)
    const output = (tensor: Pointer) => ({ tensor, address: this.#context.data(tensor) })
    const pickBest = (values: Pointer, address: Pointer) => output(builder.pick(values, topIds, address))
    const pickedBytes = this.shape.topK * this.shape.numOutputs * 4
    const topLogits = pickBest(wanted, builder.arena.take(pickedBytes))
    const shares = this.shape.masses.map((kind, index) => {
      const address = builder.arena.take(pickedBytes)
      const mark = builder.arena.mark()
      const share = pickBest(this.#addSoftMax(wanted, kind, index), address)
      builder.arena.reset(mark)
      return share
    })
    return { logits: output(wanted), topIds: output(topIds), topLogits, shares }
  }

  #addSoftMax(logits: Pointer, kind: MassKind, index: number): Pointer {
    const builder = this.#builder
    if (kind === 'one') {
      this.#massNodes[index] = builder.softMax(logits, 1)
      return this.#massNodes[index]
    }
    const address = this.#environment.inputs.rowFactors[index]?.address ?? 0
    const factors = builder.tensor(ggmlType.f32, 1, this.shape.numOutputs, address)
    this.#massNodes[index] = factors
    return builder.softMaxInPlace(builder.scaleRows(logits, factors))
  }

  /** Stores this step's k and v, then lets every sequence attend to its own KV. */
  #attend(rows: ProjectedRows): Pointer {
    const builder = this.#builder
    const { pool, model } = this.#environment
    const { headDim, numHeads, attentionScale } = model.hyperparameters
    const { numTokens, numRows } = this.shape
    const store = (half: KvPool['k'], source: Pointer, rowBytes: number) => {
      const table = half.layers[rows.layer]?.tensor ?? 0
      const stored = builder.view2d(source, [half.rowElements, numTokens], rowBytes, 0)
      builder.setRows(table, stored, this.#tensors.slots, pool.buffer)
    }
    store(pool.k, rows.k, rows.kRowBytes)
    store(pool.v, rows.v, rows.vRowBytes)

    const headBytes = headDim * 4
    const attended = builder.tensor(ggmlType.f32, headDim * numHeads, numRows)
    const address = this.#context.data(attended)
    let row = 0
    this.shape.entries.forEach((entry, index) => {
      const { view, mask } = this.#entries[index] as EntryNodes
      const { k, v } = view.addLayer(rows.layer)
      const shape = [headDim, entry.numTokens, numHeads] as const
      const q = builder.view3d(rows.q, shape, [rows.qRowBytes, headBytes], row * rows.qRowBytes)
      builder.attention(q, k, v, mask ?? 0, attentionScale, address + row * headBytes * numHeads)
      row += entry.numTokens
    })
    return attended
  }
}

/** The token slots of the rows of an entry: those of its runs from `position` on. */
function fillSlots(slots: Int32Array, row: number, runs: readonly SlotRun[], position: number): void {
  let skip = position
  let at = row
  for (const run of runs) {
    for (let offset = Math.min(skip, run.length); offset < run.length; offset++)
      slots[at++] = run.slot + offset
    skip = Math.max(0, skip - run.length)
  }
}

function maskElements(plan: StepPlan): number {
  let total = 0
  for (const { tokens, position } of plan.entries) {
    if (tokens.length > 1) total += tokens.length * (position + tokens.length)
  }
  return total
}

/** An upper bound of tensors (nodes, leaves and views) in the graph. */
function countNodes(numLayers: number, shape: StepShape): number {
  const perEntry = shape.entries.reduce(
    (sum, { numExtents }) => sum + 4 + (numExtents > 1 ? 6 * numExtents : 0),
    0,
  )
  return numLayers * (40 + perEntry) + shape.entries.length + 32
}
