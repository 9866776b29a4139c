/**
 * The graph of one step shape. Building it calls into ggml some twenty times a layer; a later step of the same shape
 * only fills inputs and patches where each sequence's KV lies. That keeps JavaScript's share of a decode step small.
 */
import { ggmlType } from '../ggml/tensor-struct.ts'
import type { Pointer } from '../ggml/functions.ts'
import { GraphContext } from '../ggml/graph-context.ts'
import type { Backend } from '../ggml/backend.ts'
import { Arena } from '../model/graph/arena.ts'
import { buildDecoder, buildLogits, type DecoderModel, type ProjectedRows } from '../model/graph/decoder.ts'
import { GraphBuilder } from '../model/graph/graph-builder.ts'
import type { StepPlan } from '../scheduler/step-plan.ts'
import type { HeadRotation } from './head-rotation.ts'
import type { AttendingEntries, AttentionNodes } from './attention-nodes.ts'
import type { AttentionUnit } from './attention-plan.ts'
import type { GatherRoom } from './gather-room.ts'
import type { KvPool } from './kv-pool.ts'
import type { SlotRun } from './kv-view.ts'
import { SharedAttention } from './shared-attention.ts'
import { SingleAttention } from './single-attention.ts'
import { numStackedNodes } from './stacked-attention.ts'
import type { InputArray, StepInputs } from './step-inputs.ts'
import {
  numStatesOf,
  type EntryOutput,
  type MassKind,
  type MassReduction,
  type StepShape,
} from './step-shape.ts'

/** What all graphs of an executor share. */
export interface GraphEnvironment {
  readonly backend: Backend
  readonly model: DecoderModel
  readonly pool: KvPool
  readonly rotation: HeadRotation | undefined
  readonly inputs: StepInputs
  readonly gatherRoom: GatherRoom
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

/** A step that fits a graph's shape; entries, runs and units in the order of the rows. */
export interface StepFill {
  readonly plan: StepPlan
  readonly runs: readonly (readonly SlotRun[])[]
  readonly units: readonly AttentionUnit[]
  readonly outputs: readonly EntryOutput[]
  readonly reductions: readonly MassReduction[]
}

/** Consecutive nodes of a graph, as a graph. */
export interface GraphSlice {
  readonly name: string
  readonly graph: Pointer
}

export class StepGraph {
  readonly shape: StepShape
  readonly graph: Pointer
  readonly outputs: StepOutputs | undefined
  /** F32 [width, output rows]: those of the states lie behind those of the logits. Undefined: no states. */
  readonly states: OutputTensor | undefined
  readonly #environment: GraphEnvironment
  readonly #context: GraphContext
  readonly #builder: GraphBuilder
  readonly #units: AttentionNodes[]
  readonly #tensors: { tokens: Pointer; positions: Pointer; slots: Pointer; outputRows: Pointer | undefined }
  readonly #layerInputs: Pointer[] = []
  #slices: readonly GraphSlice[] | undefined
  /** For each reduction the node that takes the temperature, or the input that takes one for each row. */
  readonly #massNodes: Pointer[] = []

  constructor(environment: GraphEnvironment, shape: StepShape) {
    const { backend, inputs, compute } = environment
    this.shape = shape
    this.#environment = environment
    const numNodes = countNodes(environment.model.hyperparameters.numLayers, shape)
    const bytes = numNodes * backend.ggml.tensorOverhead() + backend.ggml.graphOverhead(numNodes, false)
    this.#context = new GraphContext(backend.ggml, bytes + 4096)
    this.graph = backend.ggml.newGraph(this.#context.pointer, numNodes, false)
    const arena = new Arena(compute.address, compute.numBytes)
    this.#builder = new GraphBuilder(backend.ggml, this.#context, this.graph, arena, compute.buffer)
    const { i32 } = ggmlType
    const input = (rows: number, { address, buffer }: InputArray) =>
      this.#builder.tensor(i32, rows, 1, address, buffer)
    const allRowsOut =
      shape.numOutputRows === shape.numRows && shape.numOutputs === shape.numTokens && shape.numStates === 0
    this.#tensors = {
      tokens: input(shape.numRows, inputs.tokens),
      positions: input(shape.numRows, inputs.positions),
      slots: input(shape.numTokens, inputs.slots),
      // A step that samples nothing still needs one row to go through the last layer.
      outputRows: allRowsOut ? undefined : input(Math.max(1, shape.numOutputRows), inputs.outputRows),
    }
    let row = 0
    this.#units = shape.units.map((unit) => {
      const firstRow = row
      row += unit.kind === 'shared' ? unit.numSequences : unit.numTokens
      return unit.kind === 'shared'
        ? new SharedAttention(this.#builder, environment, unit, firstRow)
        : new SingleAttention(this.#builder, environment, unit, firstRow)
    })
    const states = this.#buildStates()
    this.outputs = shape.numOutputs === 0 ? undefined : this.#buildOutputs(states)
    this.states = shape.numStates === 0 ? undefined : this.#output(states)
  }

  /** Writes this step's inputs and points the graph at its KV. */
  fill(step: StepFill): void {
    const { plan, runs, units, reductions } = step
    this.#fillRows(step)
    this.#fillUnits({ entries: plan.entries, runs, units })
    reductions.forEach((reduction, index) => this.#fillReduction(reduction, index))
  }

  /** The graph in pieces of whole layers, about `numGroups` of them, and the output head; to be computed in order. */
  slices(numGroups: number): readonly GraphSlice[] {
    this.#slices ??= this.#cut(numGroups)
    return this.#slices
  }

  close(): void {
    this.#context.close()
  }

  #cut(numGroups: number): GraphSlice[] {
    const numLayers = this.#layerInputs.length - 1
    const groupSize = Math.ceil(numLayers / numGroups)
    // A piece begins behind the node that its first layer begins with.
    const startOf = (layer: number) =>
      layer === 0 ? 0 : this.#context.nodeIndex(this.graph, this.#layerInputs[layer] ?? 0) + 1
    const slices: GraphSlice[] = []
    for (let layer = 0; layer < numLayers; layer += groupSize) {
      const next = Math.min(layer + groupSize, numLayers)
      const name = next === layer + 1 ? `layer ${layer}` : `layers ${layer}-${next - 1}`
      slices.push({ name, graph: this.#context.slice(this.graph, startOf(layer), startOf(next)) })
    }
    const numNodes = this.#context.numNodes(this.graph)
    const head = this.#context.slice(this.graph, startOf(numLayers), numNodes)
    return [...slices, { name: 'output head', graph: head }]
  }

  #fillUnits(step: AttendingEntries): void {
    const units = this.#units
    let numMaskElements = 0
    for (let index = 0, first = 0; index < units.length; index++) {
      const unit = units[index] as AttentionNodes
      numMaskElements += unit.maskElements(step, index, first)
      first += unit.numEntries
    }
    this.#environment.inputs.beginMasks(numMaskElements)
    for (let index = 0, first = 0; index < units.length; index++) {
      const unit = units[index] as AttentionNodes
      unit.patch(step, index, first)
      first += unit.numEntries
    }
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

  #fillRows({ plan, runs, outputs }: StepFill): void {
    const { tokens, positions, slots, outputRows } = this.#environment.inputs
    let row = 0
    let output = 0
    let state = this.shape.numOutputs
    for (let index = 0; index < plan.entries.length; index++) {
      const entry = plan.entries[index]
      if (entry === undefined) continue
      fillSlots(slots.values, row, runs[index] ?? [], entry.position)
      for (let offset = 0; offset < entry.tokens.length; offset++, row++) {
        tokens.values[row] = entry.tokens[offset] ?? 0
        positions.values[row] = entry.position + offset
      }
      const wanted = outputs[index]
      if (wanted === 'logits') outputRows.values[output++] = row - 1
      const first = wanted === 'last' ? row - 1 : row - entry.tokens.length
      const numStates = numStatesOf(entry, wanted)
      for (let offset = 0; offset < numStates; offset++) outputRows.values[state++] = first + offset
    }
    const { numRows, numOutputRows, numTokens } = this.shape
    tokens.values.fill(0, row, numRows)
    positions.values.fill(0, row, numRows)
    outputRows.values.fill(0, state, Math.max(1, numOutputRows))
    const { inputs } = this.#environment
    inputs.upload(this.#tensors.tokens, tokens, numRows)
    inputs.upload(this.#tensors.positions, positions, numRows)
    inputs.upload(this.#tensors.slots, slots, numTokens)
    if (this.#tensors.outputRows !== undefined) {
      inputs.upload(this.#tensors.outputRows, outputRows, Math.max(1, numOutputRows))
    }
  }

  #buildStates(): Pointer {
    const builder = this.#builder
    const inputs = { ...this.#tensors, numRows: this.shape.numRows, layerInputs: this.#layerInputs }
    const { model } = this.#environment
    const states = buildDecoder(builder, model, inputs, (rows) => this.#attendRotated(rows))
    builder.expand(states)
    return states
  }

  #output(tensor: Pointer): OutputTensor {
    return { tensor, address: this.#context.data(tensor) }
  }

  #buildOutputs(states: Pointer): StepOutputs {
    const builder = this.#builder
    const { numLogitRows, numOutputRows } = this.shape
    const width = this.#context.ne(states, 0)
    const rows =
      numLogitRows === numOutputRows ? states : builder.view2d(states, [width, numLogitRows], width * 4, 0)
    const logits = buildLogits(builder, this.#environment.model, rows)
    builder.expand(logits)
    const vocabSize = this.#context.ne(logits, 0)
    const wanted = builder.view2d(logits, [vocabSize, this.shape.numOutputs], vocabSize * 4, 0)
    const topIds = builder.topK(wanted, this.shape.topK)
    builder.expand(topIds)
    const pickBest = (values: Pointer, address: Pointer) =>
      this.#output(builder.pick(values, topIds, address))
    const pickedBytes = this.shape.topK * this.shape.numOutputs * 4
    const topLogits = pickBest(wanted, builder.arena.take(pickedBytes))
    const shares = this.shape.masses.map((kind, index) => {
      const address = builder.arena.take(pickedBytes)
      const mark = builder.arena.mark()
      const share = pickBest(this.#addSoftMax(wanted, kind, index), address)
      builder.arena.reset(mark)
      return share
    })
    return { logits: this.#output(wanted), topIds: this.#output(topIds), topLogits, shares }
  }

  #addSoftMax(logits: Pointer, kind: MassKind, index: number): Pointer {
    const builder = this.#builder
    if (kind === 'one') {
      this.#massNodes[index] = builder.softMax(logits, 1)
      return this.#massNodes[index]
    }
    const { address, buffer } = this.#environment.inputs.rowFactors[index] ?? {}
    const factors = builder.tensor(ggmlType.f32, 1, this.shape.numOutputs, address, buffer)
    this.#massNodes[index] = factors
    return builder.softMaxInPlace(builder.scaleRows(logits, factors))
  }

  #attendRotated(rows: ProjectedRows): Pointer {
    const { rotation, model } = this.#environment
    if (rotation === undefined) return this.#attend(rows)
    const { headDim, numHeads, numKvHeads } = model.hyperparameters
    const { numRows } = this.shape
    const rotate = (x: Pointer, heads: number, rowBytes: number) =>
      rotation.rotate(this.#builder, x, headDim * heads, numRows, rowBytes)
    const attended = this.#attend({
      layer: rows.layer,
      q: rotate(rows.q, numHeads, rows.qRowBytes),
      qRowBytes: headDim * numHeads * 4,
      k: rotate(rows.k, numKvHeads, rows.kRowBytes),
      kRowBytes: headDim * numKvHeads * 4,
      v: rotate(rows.v, numKvHeads, rows.vRowBytes),
      vRowBytes: headDim * numKvHeads * 4,
    })
    return rotate(attended, numHeads, headDim * numHeads * 4)
  }

  /** Stores this step's k and v, then lets every sequence attend to its own KV. */
  #attend(rows: ProjectedRows): Pointer {
    const builder = this.#builder
    const { pool, model } = this.#environment
    const { headDim, numHeads } = model.hyperparameters
    const { numTokens, numRows } = this.shape
    const store = (half: KvPool['k'], source: Pointer, rowBytes: number) => {
      const table = half.layers[rows.layer]?.tensor ?? 0
      const stored = builder.view2d(source, [half.rowElements, numTokens], rowBytes, 0)
      builder.setRows(table, stored, this.#tensors.slots, pool.buffer)
    }
    store(pool.k, rows.k, rows.kRowBytes)
    store(pool.v, rows.v, rows.vRowBytes)

    const attended = builder.tensor(ggmlType.f32, headDim * numHeads, numRows)
    for (const unit of this.#units) unit.addLayer(rows, attended)
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

/** An upper bound of tensors (nodes, leaves and views) in the graph. */
function countNodes(numLayers: number, { units }: StepShape): number {
  const perLayer = units.reduce((sum, unit) => {
    if (unit.kind === 'shared') return sum + numStackedNodes + 6
    const stacking = unit.numStackedRows > 0 ? numStackedNodes : 0
    return sum + 6 + stacking + (unit.path === 'gather' ? 6 * unit.numExtents : 0)
  }, 56)
  return numLayers * perLayer + 2 * units.length + 32
}
