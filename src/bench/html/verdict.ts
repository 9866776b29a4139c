/** Which cell of a row is best, where the difference is more than chance. */
import { estimatePercentile } from '../../metrics/percentile-interval.ts'

/** Differences up to this share are never called one. */
const noiseShare = 0.05

export interface Cell {
  readonly value: number | undefined
  /** The sample that the value is a percentile of, where the report has it. */
  readonly sample?: { readonly values: readonly number[]; readonly fraction: number }
  /** False where failures make a figure look better than the server is. */
  readonly isEligible?: boolean
}

/**
 * Index of the cell that is better than every other by more than 5 %, and whose 95 % interval overlaps none of theirs
 * where the samples are known; undefined when there is no such cell.
 */
export function findBest(cells: readonly Cell[], better: 'lower' | 'higher'): number | undefined {
  const known = cells
    .map((cell, index) => ({ cell, index }))
    .filter(({ cell }) => cell.value !== undefined && Number.isFinite(cell.value))
  if (known.length < 2) return undefined
  const best = known.reduce((a, b) => (isAhead(b.cell, a.cell, better) ? b : a))
  if (best.cell.isEligible === false) return undefined
  const others = known.filter(({ index }) => index !== best.index)
  return others.every(({ cell }) => isBeyondNoise(best.cell, cell, better)) ? best.index : undefined
}

const isAhead = (a: Cell, b: Cell, better: 'lower' | 'higher'): boolean =>
  better === 'lower' ? a.value! < b.value! : a.value! > b.value!

function isBeyondNoise(best: Cell, other: Cell, better: 'lower' | 'higher'): boolean {
  const [a, b] = [best.value!, other.value!]
  if (Math.abs(a - b) <= noiseShare * Math.max(Math.abs(a), Math.abs(b))) return false
  if (best.sample === undefined || other.sample === undefined) return true
  const [mine, theirs] = [interval(best), interval(other)]
  if (mine === undefined || theirs === undefined) return false
  return better === 'lower' ? mine.high < theirs.low : mine.low > theirs.high
}

const interval = ({ sample }: Cell) =>
  sample === undefined ? undefined : estimatePercentile(sample.values, sample.fraction)
