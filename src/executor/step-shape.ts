/** What two steps must have in common to run on the same graph. Pure. */
import type { PlanEntry, StepPlan } from '../scheduler/step-plan.ts'
import type { LogitsNeed } from './executor.ts'
import { decodeInPlace, type AttentionUnit } from './attention-plan.ts'
import type { SlotRun } from './kv-view.ts'

export interface StepShape {
  /** Equal keys: the same graph serves. */
  readonly key: string
  /** What attends, in the order of the rows. */
  readonly units: readonly AttentionUnit[]
  /** Token rows, without and with padding to the matrix kernels' tile. */
  readonly numTokens: number
  readonly numRows: number
  /** Rows of logits, and rows of states behind them. */
  readonly numOutputs: number
  readonly numStates: number
  /** Both together, padded; and the first of these that are multiplied with the vocabulary. */
  readonly numOutputRows: number
  readonly numLogitRows: number
  /** How many of the best tokens are selected per row. */
  readonly topK: number
  /** The reductions of the output rows to their masses. */
  readonly masses: readonly MassKind[]
}

/** `one`: all rows at one temperature. `each`: every row at its own, which costs another pass over the rows. */
export type MassKind = 'one' | 'each'

/** One log-sum-exp for every output row. */
export interface MassReduction {
  readonly kind: MassKind
  /** 1/T of each output row. */
  readonly inverseTemperatures: readonly number[]
}

/** What of an entry leaves the graph: logits of its last token, or states of some of its tokens. */
export type EntryOutput = 'none' | 'logits' | 'all' | 'first' | 'last'

/** What a step's samplers will look at. */
export interface RowDemands {
  /** One for each entry. */
  readonly outputs: readonly EntryOutput[]
  readonly topK: number
  readonly reductions: readonly MassReduction[]
}

/** Enough to see that the best token has no equal; a tie is settled on the whole row. */
const topKGreedy = 4
const topKSampling = 64

export function demandsOf(plan: StepPlan, needs: readonly LogitsNeed[], vocabSize: number): RowDemands {
  const sampling = needs.some((need) => need.kind === 'top')
  const outputs = plan.entries.map((entry, index) => outputOf(entry, needs[index]))
  return {
    outputs,
    topK: Math.min(sampling ? topKSampling : topKGreedy, vocabSize),
    reductions: massReductions(outputs, needs),
  }
}

function outputOf({ samples }: PlanEntry, need: LogitsNeed | undefined): EntryOutput {
  if (need?.kind === 'states') return need.of
  return samples ? 'logits' : 'none'
}

/** Rows of states that an entry yields. */
export function numStatesOf({ tokens }: PlanEntry, output: EntryOutput | undefined): number {
  if (output === 'all') return tokens.length
  return output === 'first' || output === 'last' ? 1 : 0
}

export function shapeOf(
  plan: StepPlan,
  { outputs, topK, reductions }: RowDemands,
  units: readonly AttentionUnit[],
  pad: PadRows,
): StepShape {
  let numOutputs = 0
  let numStates = 0
  for (let index = 0; index < outputs.length; index++) {
    const output = outputs[index]!
    if (output === 'logits') numOutputs += 1
    else numStates += numStatesOf(plan.entries[index]!, output)
  }
  const padded = (rows: number) => (rows === 0 ? 0 : pad(rows))
  const masses = reductions.map(({ kind }) => kind)
  return {
    key: `${unitsKey(units)}/${outputsKey(outputs, numOutputs)}/${topK}/${masses.join()}`,
    units,
    numTokens: plan.numTokens,
    numRows: pad(plan.numTokens),
    numOutputs,
    numStates,
    numOutputRows: padded(numOutputs + numStates),
    numLogitRows: padded(numOutputs),
    topK,
    masses,
  }
}

/** Decodes in place are counted, as there are many. */
function unitsKey(units: readonly AttentionUnit[]): string {
  let key = ''
  for (let index = 0; index < units.length;) {
    const first = index
    while (units[index] === decodeInPlace) index += 1
    const unit = units[index]
    if (index > first) key += `${index - first}x,`
    else if (unit !== undefined) key += `${unitKey(unit)},`
    if (index === first) index += 1
  }
  return key
}

const outputMarks = { none: '.', logits: '!', all: 'a', first: 'f', last: 'l' } as const satisfies Record<
  EntryOutput,
  string
>

function outputsKey(outputs: readonly EntryOutput[], numOutputs: number): string {
  if (numOutputs === outputs.length) return 'all'
  return outputs.map((output) => outputMarks[output]).join('')
}

function unitKey(unit: AttentionUnit): string {
  if (unit.kind === 'shared') return `shared ${unit.numSequences}.${unit.numRows}`
  return `${unit.numTokens}.${unit.numExtents}.${unit.path}.${unit.numStackedRows}`
}

const none: readonly number[] = []

/** Log-sum-exps that the needs ask for, in as few passes over the rows as the longest list has. */
function massReductions(outputs: readonly EntryOutput[], needs: readonly LogitsNeed[]): MassReduction[] {
  if (!needs.some((need) => need.kind === 'top' && need.logSumExpAt.length > 0)) return []
  const asked: (readonly number[])[] = []
  let numReductions = 0
  outputs.forEach((output, index) => {
    if (output !== 'logits') return
    const need = needs[index]
    const wanted = need?.kind === 'top' ? need.logSumExpAt : none
    asked.push(wanted)
    numReductions = Math.max(numReductions, wanted.length)
  })
  return Array.from({ length: numReductions }, (_, slot) => {
    const first = asked.find((wanted) => wanted.length > slot)?.[slot] ?? 1
    const inverseTemperatures = asked.map((wanted) => wanted[slot] ?? first)
    return {
      kind: inverseTemperatures.every((value) => value === first) ? 'one' : 'each',
      inverseTemperatures,
    }
  })
}

/** Rows of a matrix product as the kernels should see them. */
export type PadRows = (rows: number) => number

/** The used part of an entry's extents, as token slots. */
export function slotRuns(entry: PlanEntry, blockSize: number): SlotRun[] {
  const runs: SlotRun[] = []
  let left = entry.position + entry.tokens.length
  for (const extent of entry.extents) {
    if (left <= 0) break
    const length = Math.min(left, extent.length * blockSize)
    runs.push({ slot: extent.start * blockSize, length })
    left -= length
  }
  return runs
}

/**
 * The matrix kernels work on tiles of four rows and take leftovers one by one, each at the price of a pass over the
 * weights: three rows cost more than four. One or two rows are left alone, unless the rounding must not depend on
 * how many there are (`batchInvariant`).
 */
export function padToTile(batchInvariant: boolean): PadRows {
  return (rows) => (rows <= 2 && !batchInvariant ? rows : Math.ceil(rows / 4) * 4)
}
