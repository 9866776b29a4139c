/**
 * Runs step plans on graphs of our own over ggml: prefill chunks and decodes of many sequences in one ragged pass.
 * It knows models, memory and kernels; it does not know requests, queues or sampling rules.
 * Read next: `step-graph.ts` (one step), `../model/graph/decoder.ts` (the network), `kv-pool.ts` (the memory).
 */
import { invariant } from '../core/errors.ts'
import type { Backend } from '../ggml/backend.ts'
import { addressOf } from '../ggml/graph-context.ts'
import { viewMemory } from '../ggml/memory-map.ts'
import type { DecoderModel } from '../model/graph/decoder.ts'
import type { StepPlan } from '../scheduler/step-plan.ts'
import { mostStackedRows } from './attention-cost.ts'
import { mostListedSlots, planAttention, type AttentionRules } from './attention-plan.ts'
import { BlockMover } from './block-mover.ts'
import type { PoolBlocks } from './pool-blocks.ts'
import type { Executor, ExecutorModel, KernelGroup, LogitsNeed, LogitsRow, StepResult } from './executor.ts'
import { allocateGatherRoom } from './gather-room.ts'
import { GraphCache } from './graph-cache.ts'
import type { HeadRotation } from './head-rotation.ts'
import type { KvPool } from './kv-pool.ts'
import { logitsRow, type LogitsMemory } from './logits-rows.ts'
import { StepGraph, type GraphEnvironment, type OutputTensor, type StepOutputs } from './step-graph.ts'
import { StepInputs } from './step-inputs.ts'
import {
  demandsOf,
  numStatesOf,
  shapeOf,
  slotRuns,
  type MassReduction,
  type PadRows,
  type RowDemands,
} from './step-shape.ts'

/** Graphs of decode steps of every usual batch size, and some of prefill chunks. */
const maxCachedGraphs = 48

export interface GgmlExecutorParts {
  readonly backend: Backend
  readonly model: DecoderModel
  readonly pool: KvPool
  readonly rotation: HeadRotation | undefined
  readonly info: ExecutorModel
  readonly maxRows: number
  readonly maxOutputs: number
  readonly padRows: PadRows
  readonly attention: AttentionRules
  /** Undefined: steps are computed at once. */
  readonly numLayerGroups: number | undefined
}

export class GgmlExecutor implements Executor {
  readonly model: ExecutorModel
  readonly blocks: PoolBlocks
  readonly #mover: BlockMover
  readonly #parts: GgmlExecutorParts
  readonly #environment: GraphEnvironment
  readonly #graphs = new GraphCache(maxCachedGraphs)
  /** The compute buffer as JavaScript sees it; undefined on devices. */
  readonly #memory: ArrayBuffer | undefined

  constructor(parts: GgmlExecutorParts) {
    const { backend, model } = parts
    this.model = parts.info
    this.#parts = parts
    this.#mover = new BlockMover(backend, parts.pool, parts.info.blockSize)
    this.blocks = this.#mover.blocks
    const gatherRoom = allocateGatherRoom(
      backend,
      parts.pool.k.rowElements,
      parts.attention.machine.maxGatheredTokens,
    )
    const numBytes = computeBytes(parts)
    const buffer = backend.allocate(numBytes)
    const address = backend.ggml.bufferBase(buffer)
    this.#memory = backend.isCpu ? viewMemory(address, numBytes) : undefined
    this.#environment = {
      backend,
      model,
      pool: parts.pool,
      rotation: parts.rotation,
      inputs: new StepInputs(
        backend,
        parts.maxRows,
        parts.maxOutputs,
        mostListedSlots(parts.attention.machine),
      ),
      gatherRoom,
      compute: { buffer, address, numBytes },
    }
  }

  async execute(plan: StepPlan, needs: readonly LogitsNeed[]): Promise<StepResult> {
    const startedAt = performance.now()
    this.#mover.copy(plan.copies)
    const runs = plan.entries.map((entry) => slotRuns(entry, this.model.blockSize))
    const { order, units } = planAttention(plan.entries, runs, this.#parts.attention)
    const ordered = order === undefined ? plan : { ...plan, entries: pick(plan.entries, order) }
    const demands = demandsOf(ordered, order === undefined ? needs : pick(needs, order), this.model.vocabSize)
    const shape = shapeOf(ordered, demands, units, this.#parts.padRows)
    invariant(shape.numRows <= this.#parts.maxRows, `a step of ${shape.numRows} rows is too large`)
    const graph = this.#graphs.get(shape.key, () => new StepGraph(this.#environment, shape))
    graph.fill({
      plan: ordered,
      runs: order === undefined ? runs : pick(runs, order),
      units,
      ...demands,
    })
    const builtAt = performance.now()
    const kernels = await this.#compute(graph)
    const computedAt = performance.now()
    const rows = this.#rows(graph, demands)
    const states = this.#states(ordered, graph, demands)
    return {
      rows: order === undefined ? rows : inPlanOrder(rows, order),
      states: states === undefined || order === undefined ? states : inPlanOrder(states, order),
      buildMicros: Math.round((builtAt - startedAt) * 1000),
      computeMicros: Math.round((computedAt - builtAt) * 1000),
      ...(kernels === undefined ? {} : { kernels }),
    }
  }

  close(): Promise<void> {
    this.#graphs.close()
    this.#mover.close()
    this.#parts.pool.close()
    this.#parts.rotation?.close()
    this.#parts.model.weights.close()
    this.#parts.backend.close()
    return Promise.resolve()
  }

  async #compute(graph: StepGraph): Promise<KernelGroup[] | undefined> {
    const { backend } = this.#environment
    const { numLayerGroups } = this.#parts
    if (numLayerGroups === undefined) {
      await backend.compute(graph.graph)
      return undefined
    }
    const groups: KernelGroup[] = []
    let from = performance.now()
    for (const slice of graph.slices(numLayerGroups)) {
      await backend.compute(slice.graph)
      const to = performance.now()
      groups.push({ name: slice.name, micros: (to - from) * 1000 })
      from = to
    }
    return groups
  }

  #rows(graph: StepGraph, { outputs, reductions }: RowDemands): (LogitsRow | undefined)[] {
    if (graph.outputs === undefined) return outputs.map(() => undefined)
    const memory = this.#results(graph, graph.outputs, reductions)
    let row = 0
    return outputs.map((output) => (output === 'logits' ? logitsRow(memory, row++) : undefined))
  }

  /** Copies: they are small, and outlive the step. */
  #states(
    { entries }: StepPlan,
    { states }: StepGraph,
    { outputs }: RowDemands,
  ): (Float32Array | undefined)[] | undefined {
    if (states === undefined) return undefined
    const width = this.model.embeddingLength
    let row = outputs.filter((output) => output === 'logits').length
    return entries.map((entry, index) => {
      const numRows = numStatesOf(entry, outputs[index])
      if (numRows === 0) return undefined
      row += numRows
      return new Float32Array(...this.#host(states, (row - numRows) * width, numRows * width)).slice()
    })
  }

  #results(graph: StepGraph, outputs: StepOutputs, reductions: readonly MassReduction[]): LogitsMemory {
    const { vocabSize } = this.model
    const { numOutputs, topK } = graph.shape
    const numPicked = topK * numOutputs
    const floats = (output: OutputTensor) => new Float32Array(...this.#host(output, 0, numPicked))
    return {
      vocabSize,
      topK,
      topIds: new Int32Array(...this.#host(outputs.topIds, 0, numPicked)),
      topLogits: floats(outputs.topLogits),
      masses: reductions.map(({ inverseTemperatures }, index) => ({
        inverseTemperatures,
        shares: floats(outputs.shares[index] as OutputTensor),
      })),
      row: (index) => new Float32Array(...this.#host(outputs.logits, index * vocabSize, vocabSize)),
    }
  }

  /** 4-byte elements of the compute buffer from `start` on, in place on the CPU, copied from a device. */
  #host(output: OutputTensor, start: number, length: number): [ArrayBuffer, number, number] {
    const { compute, backend } = this.#environment
    if (this.#memory !== undefined) {
      return [this.#memory, output.address - compute.address + start * 4, length]
    }
    const copy = new ArrayBuffer(length * 4)
    backend.ggml.getTensor(output.tensor, addressOf(new Uint8Array(copy)), start * 4, length * 4)
    return [copy, 0, length]
  }
}

function pick<Value>(values: readonly Value[], order: readonly number[]): Value[] {
  return order.map((index) => values[index] as Value)
}

/** Undoes `pick`. */
function inPlanOrder<Value>(picked: readonly Value[], order: readonly number[]): Value[] {
  const values: Value[] = Array.from({ length: picked.length })
  order.forEach((index, at) => (values[index] = picked[at] as Value))
  return values
}

/** Room for the largest step: the activations of one layer for all rows, and the outputs. */
function computeBytes({ model, info, maxRows, maxOutputs, attention }: GgmlExecutorParts): number {
  const h = model.hyperparameters
  const qkvWidth = h.headDim * (h.numHeads + 2 * h.numKvHeads)
  const rowFloats = 11 * h.embeddingLength + 7 * qkvWidth + 4 * h.feedForwardLength
  const outputFloats = 2 * info.vocabSize + rowFloats
  const mostStacked = attention.stacks ? maxRows : attention.sharing === 'never' ? 0 : maxOutputs
  const stackedRows = mostStacked > 0 ? mostStackedRows(attention.machine, mostStacked) : 0
  const stackedFloats = 2 * h.headDim * h.numKvHeads * stackedRows
  return 4 * (rowFloats * maxRows + outputFloats * maxOutputs + stackedFloats) + 2 ** 20
}
