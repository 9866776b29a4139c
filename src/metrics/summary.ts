/** Mean and percentiles of a sample. Whoever calls names the unit. */
export interface Summary {
  readonly count: number
  readonly mean: number
  readonly min: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

/** Undefined for no values: there is no honest number then. */
export function summarize(values: readonly number[]): Summary | undefined {
  if (values.length === 0) return undefined
  const sorted = Float64Array.from(values).sort()
  return {
    count: sorted.length,
    mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
    min: sorted[0]!,
    p50: percentile(sorted, 0.5),
    p90: percentile(sorted, 0.9),
    p99: percentile(sorted, 0.99),
    max: sorted.at(-1)!,
  }
}

/**
 * The value below which `fraction` of an ascending, non-empty sample lies, between neighbours by straight line:
 * Hyndman and Fan's seventh definition, which NumPy and R use too.
 */
export function percentile(sorted: ArrayLike<number>, fraction: number): number {
  const position = (sorted.length - 1) * fraction
  const below = Math.floor(position)
  const low = sorted[below]!
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!
  return low + (high - low) * (position - below)
}
