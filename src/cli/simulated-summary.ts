/** What a report says of a simulation's requests: of all of them at its end, or of more than fit as each ends. */
import type { Goals, RequestRow, TargetFigures } from '../bench/bench-report.ts'
import { figuresOf, mismatchesOf } from '../bench/figures.ts'
import { coolDownShare, selectMeasured, warmUpShare } from '../bench/measured-requests.ts'
import type { RequestRecord } from '../bench/request-record.ts'
import { rowOf } from '../bench/run-bench.ts'
import { RunningFigures } from '../bench/running-figures.ts'
import type { RecordSink } from '../simulator/simulate.ts'
import type { SimulatedRecord } from '../simulator/simulated-record.ts'

export interface SimulatedSummary {
  readonly numRequests: number
  /** Of all requests. */
  readonly hasFailures: boolean
  readonly figures: TargetFigures
  readonly rows: readonly RequestRow[]
  readonly mismatches: Readonly<Record<string, number>>
}

/** A report has a row for each request up to so many, and for each k-th of more. */
export const mostRows = 100_000

export function summarizeRecords(records: readonly RequestRecord[], goals: Goals): SimulatedSummary {
  const measured = selectMeasured(records)
  return {
    numRequests: records.length,
    hasFailures: records.some(({ error }) => error !== undefined),
    figures: figuresOf(records, goals, measured),
    rows: records.map((record) => rowOf(record, measured.has(record))),
    mismatches: mismatchesOf(records, undefined),
  }
}

/**
 * Of a workload of more requests than `mostRows`. Which of them are warm-up and cool-down goes by their places in the
 * workload, as nobody knows yet how long it will take.
 */
export class RunningSummary implements RecordSink {
  readonly #figures: RunningFigures
  readonly #rows: RequestRow[] = []
  readonly #every: number
  #numRequests = 0
  #hasFailures = false

  constructor(numRequests: number, goals: Goals) {
    const from = numRequests * warmUpShare
    const to = numRequests * (1 - coolDownShare)
    this.#figures = new RunningFigures(goals, ({ index }) => index >= from && index < to)
    this.#every = Math.ceil(numRequests / mostRows)
  }

  ended(record: SimulatedRecord): boolean {
    this.#numRequests += 1
    this.#hasFailures ||= record.error !== undefined
    const isMeasured = this.#figures.add(record)
    if (record.index % this.#every === 0) this.#rows.push(rowOf(record, isMeasured))
    return isMeasured && record.error === undefined
  }

  gaps(micros: number, count: number): void {
    this.#figures.addGaps(micros / 1000, count)
  }

  get summary(): SimulatedSummary {
    return {
      numRequests: this.#numRequests,
      hasFailures: this.#hasFailures,
      figures: this.#figures.figures,
      rows: this.#rows,
      mismatches: this.#figures.mismatches,
    }
  }
}
