import { invariant } from '../../core/errors.ts'
import { micros } from '../../core/units.ts'
import type { Workload } from '../workload.ts'
import { derive, retime } from './derive.ts'

/**
 * The same requests, coming `factor` times as fast: the starts of programs and single requests move together. Gaps
 * inside programs stay, for tools and people do not hurry because more of them come.
 */
export function scaleRate(workload: Workload, factor: number): Workload {
  invariant(factor > 0, `a rate scaled by ${factor}`)
  const requests = retime(workload.requests, ({ arrival }) => micros(arrival / factor))
  return derive(workload, 'scale-rate', { factor }, requests)
}

/**
 * The same requests at a mean of `ratePerSecond`: all requests over the time until the last program or single request
 * has started. A workload that starts all at once stays as it is.
 */
export function scaleToRate(workload: Workload, ratePerSecond: number): Workload {
  const rate = meanRate(workload)
  return rate === undefined ? workload : scaleRate(workload, ratePerSecond / rate)
}

/** Requests per second until the last start; undefined when everything starts at 0. */
export function meanRate({ requests }: Workload): number | undefined {
  let last = 0
  for (const { turn, after, arrival } of requests) {
    if (turn === 0 && after === undefined) last = Math.max(last, arrival)
  }
  return last === 0 ? undefined : (requests.length / last) * 1_000_000
}
