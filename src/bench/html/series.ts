/** From samples to the few points that a plot can show: bins, cumulative shares, thinning that keeps extremes. */
import { percentile } from '../../metrics/summary.ts'
import { niceStep } from './scale.ts'

export interface Point {
  readonly x: number
  readonly y: number
}

export interface Bins {
  readonly width: number
  readonly count: number
}

/** At most about 60 bins of a round width over `[0, span]`. */
export function binsOver(span: number): Bins {
  if (!(span > 0) || !Number.isFinite(span)) return { width: 1, count: 1 }
  const width = niceStep(span / 60)
  return { width, count: Math.min(Math.floor(span / width) + 1, 200) }
}

/** `reduce` of the values that fall into each bin, at the bin's middle; bins without values have no point. */
export function binned(
  samples: readonly Point[],
  bins: Bins,
  reduce: (ascending: readonly number[]) => number,
): Point[] {
  const byBin = Array.from({ length: bins.count }, (): number[] => [])
  for (const { x, y } of samples) byBin[Math.floor(x / bins.width)]?.push(y)
  return byBin.flatMap((values, index) =>
    values.length === 0 ? [] : [{ x: (index + 0.5) * bins.width, y: reduce(values.sort((a, b) => a - b)) }],
  )
}

export const medianOf = (ascending: readonly number[]): number => percentile(ascending, 0.5)
export const largestOf = (ascending: readonly number[]): number => ascending.at(-1)!

/** A weight spread evenly over `[from, to]`. */
export interface Span {
  readonly from: number
  readonly to: number
  readonly weight: number
}

/** Weight per unit of x in each bin. */
export function spread(spans: readonly Span[], bins: Bins): Point[] {
  const sums = Array.from({ length: bins.count }, () => 0)
  const add = (index: number, weight: number): void => {
    if (index >= 0 && index < sums.length) sums[index]! += weight
  }
  for (const { from, to, weight } of spans) {
    const [first, last] = [Math.floor(from / bins.width), Math.floor(to / bins.width)]
    if (!(to > from) || first === last) {
      add(last, weight)
      continue
    }
    for (let index = Math.max(first, 0); index <= Math.min(last, bins.count - 1); index++) {
      const inside = Math.min(to, (index + 1) * bins.width) - Math.max(from, index * bins.width)
      add(index, (weight * inside) / (to - from))
    }
  }
  return sums.map((sum, index) => ({ x: (index + 0.5) * bins.width, y: sum / bins.width }))
}

/** Share of values at or below each of at most about `limit` of them; the largest ones are all kept: tails matter. */
export function cumulative(values: readonly number[], limit = 140): Point[] {
  const sorted = Float64Array.from(values).sort()
  const stride = Math.max(1, Math.ceil(sorted.length / (limit - 20)))
  const points: Point[] = []
  for (const [index, value] of sorted.entries()) {
    const isKept = index % stride === 0 || index >= sorted.length - 20
    if (isKept) points.push({ x: value, y: (index + 1) / sorted.length })
  }
  return points
}

/** At most about `limit` points: the lowest and the highest of each run of neighbours. */
export function thinned(points: readonly Point[], limit = 240): readonly Point[] {
  if (points.length <= limit) return points
  const size = Math.ceil((2 * points.length) / limit)
  const kept: Point[] = []
  for (let start = 0; start < points.length; start += size) {
    const run = points.slice(start, start + size)
    const low = run.reduce((best, point) => (point.y < best.y ? point : best))
    const high = run.reduce((best, point) => (point.y > best.y ? point : best))
    kept.push(...(low === high ? [low] : low.x <= high.x ? [low, high] : [high, low]))
  }
  return kept
}

/** Every k-th point, and the ten highest, so that at most about `limit` are left. */
export function sampled(points: readonly Point[], limit: number): readonly Point[] {
  if (points.length <= limit) return points
  const stride = Math.ceil(points.length / Math.max(limit, 1))
  const highest = new Set(points.toSorted((a, b) => b.y - a.y).slice(0, 10))
  return points.filter((point, index) => index % stride === 0 || highest.has(point))
}

/** Counts in bins whose edges are 1, 2, 4, 8, ...: from `low` up to, not including, `2 * low`; zero has its own. */
export function doublingBins(values: readonly number[]): { readonly low: number; readonly count: number }[] {
  const counts = new Map<number, number>()
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    const low = value < 1 ? 0 : 2 ** Math.floor(Math.log2(value))
    counts.set(low, (counts.get(low) ?? 0) + 1)
  }
  if (counts.size === 0) return []
  const lows = [...counts.keys()]
  const edges = [0, ...Array.from({ length: 54 }, (_, power) => 2 ** power)]
  const inside = edges.filter((edge) => edge >= Math.min(...lows) && edge <= Math.max(...lows))
  return inside.map((low) => ({ low, count: counts.get(low) ?? 0 }))
}
