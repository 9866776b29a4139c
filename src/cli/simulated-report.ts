/** A simulation as a bench report, so that both can be laid over each other. */
import type { BenchReport, Goals } from '../bench/bench-report.ts'
import { figuresOf, mismatchesOf } from '../bench/figures.ts'
import { selectMeasured } from '../bench/measured-requests.ts'
import type { Loop } from '../bench/replay.ts'
import { describeMachine, rowOf } from '../bench/run-bench.ts'
import { workloadShape } from '../bench/workload-shape.ts'
import { summarize } from '../metrics/summary.ts'
import type { SimulationResult } from '../simulator/simulate.ts'
import type { Workload } from '../workload/workload.ts'
import type { LatencySource } from './latency-source.ts'
import { packageVersion } from './package-info.ts'

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
  readonly result: SimulationResult
}

/** A report has a row for each request up to so many, and for each k-th of more. */
const mostRows = 100_000

/** The same simulation has the same report, byte for byte: its date is the beginning of its own clock. */
export function simulatedReport(simulated: Simulated): BenchReport {
  const { goals, source, result } = simulated
  const { records } = result
  const measured = selectMeasured(records)
  const every = Math.ceil(records.length / mostRows)
  const shown = every === 1 ? records : records.filter((_, index) => index % every === 0)
  return {
    format: 'switchyard-bench/1',
    createdAt: new Date(0).toISOString(),
    command: simulated.command,
    isInterrupted: false,
    machine: describeMachine(packageVersion()),
    client: {
      sendLagMs: summarize(records.map(() => 0)),
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
        figures: figuresOf(records, goals, measured),
        requests: shown.map((record) => rowOf(record, measured.has(record))),
        scrapes: [],
        mismatches: mismatchesOf(records, undefined),
      },
    ],
  }
}

/** Repeated, it is longer; all else is that of one time. */
function shapeOf({ workload, seed, loop, numTimes, result }: Simulated): BenchReport['workload'] {
  const shape = workloadShape(workload, { seed, loop })
  if (numTimes === 1) return shape
  return {
    ...shape,
    provenance: [...shape.provenance, { action: 'repeat', parameters: { times: numTimes } }],
    numRequests: result.records.length,
    numPrograms: numTimes * shape.numPrograms,
    durationSeconds: numTimes * shape.durationSeconds,
  }
}
