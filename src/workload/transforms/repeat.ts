import { micros } from '../../core/units.ts'
import type { ContentId, Workload, WorkloadRequest } from '../workload.ts'

/**
 * The workload so many times, one behind the other, made as it is read. Each time prompts have content and programs
 * have names of their own; tenants stay. The gap between the times is the workload's mean gap.
 */
export function* repeatRequests({ requests }: Workload, numTimes: number): Generator<WorkloadRequest> {
  const first = requests[0]
  const last = requests.at(-1)
  if (first === undefined || last === undefined) return
  const duration = last.arrival - first.arrival
  const period = Math.round(duration + duration / Math.max(1, requests.length - 1))
  const ids = spanOfIds(requests)
  for (let time = 0; time < numTimes; time += 1) {
    if (time === 0) yield* requests
    else for (const request of requests) yield repeated(request, time, { period, ids })
  }
}

interface Shift {
  readonly period: number
  readonly ids: number
}

function repeated(request: WorkloadRequest, time: number, { period, ids }: Shift): WorkloadRequest {
  const { program, after } = request
  return {
    ...request,
    arrival: micros(request.arrival + time * period),
    program: program === undefined ? undefined : `${program}/${time}`,
    blocks: request.blocks.map((id) => id + time * ids),
    ...(after === undefined ? {} : { after: { ...after, program: `${after.program}/${time}` } }),
  }
}

function spanOfIds(requests: readonly WorkloadRequest[]): number {
  let low: ContentId = 0
  let high: ContentId = 0
  for (const { blocks } of requests) {
    for (const id of blocks) {
      if (id < low) low = id
      if (id > high) high = id
    }
  }
  return high - low + 1
}
