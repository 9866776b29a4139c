import { RandomStream } from '../../core/random.ts'
import { micros } from '../../core/units.ts'
import type { Workload } from '../workload.ts'
import { derive, retime } from './derive.ts'

/**
 * Undoes the rounding of a trace's clock: starts that share an instant are spread evenly at random up to the next
 * instant. Those of the last instant stay. Traces with coarse clocks would otherwise send in salvos that never were.
 */
export function spreadArrivals(workload: Workload, seed: number): Workload {
  const random = new RandomStream(seed).split(3)
  const starts = workload.requests.filter(({ turn, after }) => turn === 0 && after === undefined)
  const instants = [...new Set(starts.map(({ arrival }) => arrival))]
  const next = new Map(instants.map((at, index) => [at, instants[index + 1] ?? at]))
  const requests = retime(workload.requests, ({ arrival }) => {
    const room = next.get(arrival)! - arrival
    return micros(arrival + random.next() * room)
  })
  return derive(workload, 'spread-arrivals', { seed }, requests)
}
