import type { SweepPoint } from './bench-report.ts'

/** Keeping up: this share of what was offered is finished, and meets its goals where there are any. */
export const keepsUpShare = 0.9

/**
 * The highest rate that a target kept up with, and all lower ones too; undefined when it kept up with none. Points of
 * one target, by ascending rate.
 */
export function findKnee(points: readonly SweepPoint[]): number | undefined {
  const firstLost = points.findIndex(({ requestsPerSecond, figures }) => {
    const done = figures.goodput?.requestsPerSecond ?? figures.requestsPerSecond
    return !(done >= keepsUpShare * requestsPerSecond)
  })
  return (firstLost === -1 ? points.at(-1) : points[firstLost - 1])?.requestsPerSecond
}
