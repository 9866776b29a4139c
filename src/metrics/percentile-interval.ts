import { percentile } from './summary.ts'

export interface Interval {
  readonly low: number
  readonly high: number
}

/**
 * Where a percentile of the population lies with about 95 % confidence, between two order statistics of an ascending
 * sample: whatever the distribution, the number of values below it is binomial (here by its normal approximation).
 * Unbounded (`Infinity`, `-Infinity`) on a side where the sample is too small to say. Values are taken as independent;
 * those of queued requests are not quite, so that the true interval is wider.
 */
function percentileInterval(sorted: ArrayLike<number>, fraction: number): Interval {
  const count = sorted.length
  const spread = 1.96 * Math.sqrt(count * fraction * (1 - fraction))
  const [first, last] = [Math.floor(count * fraction - spread), Math.ceil(count * fraction + spread)]
  return {
    low: first < 1 ? -Infinity : sorted[first - 1]!,
    high: last >= count ? Infinity : sorted[last]!,
  }
}

/** The interval of an unsorted sample, with the percentile itself. */
export function estimatePercentile(
  values: readonly number[],
  fraction: number,
): (Interval & { readonly value: number }) | undefined {
  if (values.length === 0) return undefined
  const sorted = Float64Array.from(values).sort()
  return { value: percentile(sorted, fraction), ...percentileInterval(sorted, fraction) }
}
