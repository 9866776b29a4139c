/** A simulation as a bench report, so that both can be laid over each other. */
import type { BenchReport, Goals } from '../bench/bench-report.ts'
import type { Loop } from '../bench/replay.ts'
import { describeMachine } from '../bench/run-bench.ts'
import { workloadShape } from '../bench/workload-shape.ts'
import { summarize } from '../metrics/summary.ts'
import type { Workload } from '../workload/workload.ts'
import type { LatencySource } from './latency-source.ts'
import { packageVersion } from './package-info.ts'
import type { SimulatedSummary } from './simulated-summary.ts'

export interface Simulated {
  readonly name: string
  readonly command: string
  readonly workload: Workload
  /** How many times it was sent. */
  readonly numTimes: number
  readonly seed: number
  readonly loop: Loop
  readonly goals: Goals
  readonly source: LatencySource
  readonly summary: SimulatedSummary
}

/** The same simulation has the same report, byte for byte: its date is the beginning of its own clock. */
export function simulatedReport(simulated: Simulated): BenchReport {
  const { goals, source, summary } = simulated
  const { figures, rows, mismatches } = summary
  return {
    format: 'switchyard-bench/1',
    createdAt: new Date(0).toISOString(),
    command: simulated.command,
    isInterrupted: false,
    machine: describeMachine(packageVersion()),
    client: {
      sendLagMs: summarize(Array.from({ length: summary.numRequests }, () => 0)),
      cpuShare: 0,
      eventLoopLagMs: undefined,
      overheadMicrosPerEvent: undefined,
      warnings: [],
    },
    workload: shapeOf(simulated),
    goals,
    targets: [
      {
        name: simulated.name,
        url: 'http://simulated',
        model: source.model,
        server: `simulated, ${source.latency.name}: ${source.machine}`,
        figures,
        requests: rows,
        scrapes: [],
        mismatches,
      },
    ],
  }
}

/** Repeated, it is longer; all else is that of one time. */
function shapeOf({ workload, seed, loop, numTimes, summary }: Simulated): BenchReport['workload'] {
  const shape = workloadShape(workload, { seed, loop })
  if (numTimes === 1) return shape
  return {
    ...shape,
    provenance: [...shape.provenance, { action: 'repeat', parameters: { times: numTimes } }],
    numRequests: summary.numRequests,
    numPrograms: numTimes * shape.numPrograms,
    durationSeconds: numTimes * shape.durationSeconds,
  }
}
