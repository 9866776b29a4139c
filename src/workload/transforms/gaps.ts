import { invariant } from '../../core/errors.ts'
import { micros } from '../../core/units.ts'
import type { Workload } from '../workload.ts'
import { derive, retime } from './derive.ts'

/** No pause inside a program longer than this: traces count the night in which nobody typed. */
export function capGaps(workload: Workload, maxSeconds: number): Workload {
  invariant(maxSeconds >= 0, `gaps of at most ${maxSeconds} s`)
  const limit = micros(maxSeconds * 1_000_000)
  let numCapped = 0
  const capped = workload.requests.map((request) => {
    if (request.gap <= limit) return request
    numCapped += 1
    return { ...request, gap: limit }
  })
  const requests = retime(capped, ({ arrival }) => arrival)
  return derive(workload, 'cap-gaps', { maxSeconds, numCapped }, requests)
}

/** All pauses inside programs `factor` times as long. */
export function scaleGaps(workload: Workload, factor: number): Workload {
  invariant(factor >= 0, `gaps scaled by ${factor}`)
  const scaled = workload.requests.map((request) => ({ ...request, gap: micros(request.gap * factor) }))
  const requests = retime(scaled, ({ arrival }) => arrival)
  return derive(workload, 'scale-gaps', { factor }, requests)
}
