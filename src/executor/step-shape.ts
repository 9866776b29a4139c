/** What two steps must have in common to run on the same graph. Pure. */
import type { PlanEntry, StepPlan } from '../scheduler/step-plan.ts'
import type { LogitsNeed } from './executor.ts'
import type { SlotRun } from './kv-view.ts'

export interface StepShape {
  /** Equal keys: the same graph serves. */
  readonly key: string
  readonly entries: readonly {
    readonly numTokens: number
    readonly numExtents: number
    readonly samples: boolean
  }[]
  /** Token rows, without and with padding to the matrix kernels' tile. */
  readonly numTokens: number
  readonly numRows: number
  readonly numOutputs: number
  readonly numOutputRows: number
  /** How many of the best tokens are selected per row. */
  readonly topK: number
  /** Which rows need the mass of their distribution: none, or one softmax over all rows. */
  readonly softMax: boolean
}

/** Enough to see that the best token has no equal; a tie is settled on the whole row. */
const topKGreedy = 4
const topKSampling = 64

export function shapeOf(
  plan: StepPlan,
  needs: readonly LogitsNeed[],
  runs: readonly SlotRun[][],
  pad: PadRows,
): StepShape {
  const entries = plan.entries.map((entry, index) => ({
    numTokens: entry.tokens.length,
    numExtents: runs[index]?.length ?? 1,
    samples: entry.samples,
  }))
  const numOutputs = entries.reduce((count, entry) => count + (entry.samples ? 1 : 0), 0)
  const sampling = needs.some((need) => need.kind === 'top')
  const topK = sampling ? topKSampling : topKGreedy
  const softMax = sharedInverseTemperature(needs) !== undefined
  const list = entries
    .map((entry) => `${entry.numTokens}.${entry.numExtents}${entry.samples ? '!' : ''}`)
    .join(',')
  return {
    key: `${list}/${topK}/${softMax ? 1 : 0}`,
    entries,
    numTokens: plan.numTokens,
    numRows: pad(plan.numTokens),
    numOutputs,
    numOutputRows: numOutputs === 0 ? 0 : pad(numOutputs),
    topK,
    softMax,
  }
}

/** The 1/T of all sampling rows when they agree; undefined when they differ or none samples. */
export function sharedInverseTemperature(needs: readonly LogitsNeed[]): number | undefined {
  let shared: number | undefined
  for (const need of needs) {
    if (need.kind !== 'top') continue
    if (shared !== undefined && shared !== need.inverseTemperature) return undefined
    shared = need.inverseTemperature
  }
  return shared
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
