import { microsToSeconds } from '../core/units.ts'
import { summarize } from '../metrics/summary.ts'
import { reusableShare } from '../workload/reusable-tokens.ts'
import type { Workload } from '../workload/workload.ts'
import type { WorkloadShape } from './bench-report.ts'

const numBins = 60

/** What a report shows of a workload before anything was sent. Reuse is counted in single tokens. */
export function workloadShape(workload: Workload, run: Pick<WorkloadShape, 'seed' | 'loop'>): WorkloadShape {
  const { requests, name, provenance } = workload
  const tenants = new Set(requests.map(({ tenant }) => tenant))
  const programs = new Set(requests.flatMap(({ program }) => program ?? []))
  const durationSeconds = microsToSeconds(requests.at(-1)?.arrival ?? (0 as never))
  return {
    name,
    ...run,
    provenance,
    numRequests: requests.length,
    numTenants: tenants.size,
    numPrograms: programs.size,
    durationSeconds,
    promptTokens: summarize(requests.map(({ numPromptTokens }) => numPromptTokens)),
    outputTokens: summarize(requests.map(({ numOutputTokens }) => numOutputTokens)),
    reusableShare: reusableShare(workload, { serverBlockSize: 1 }),
    arrivals: arrivalCounts(workload, durationSeconds),
  }
}

/** Equal bins over the run; one bin when everything comes at once. */
function arrivalCounts({ requests }: Workload, durationSeconds: number): WorkloadShape['arrivals'] {
  if (durationSeconds === 0) return { binSeconds: 1, counts: requests.length === 0 ? [] : [requests.length] }
  const counts = Array.from({ length: numBins }, () => 0)
  for (const { arrival } of requests) {
    const bin = Math.floor((microsToSeconds(arrival) / durationSeconds) * numBins)
    counts[Math.min(bin, numBins - 1)]! += 1
  }
  return { binSeconds: durationSeconds / numBins, counts }
}
