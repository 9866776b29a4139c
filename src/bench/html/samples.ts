/** What the rows of requests say: latencies by the definitions of the report, in ms. */
import type { BenchReport, RequestRow, TargetReport } from '../bench-report.ts'
import type { Point } from './series.ts'

/** A target as the page shows it: beside targets of other files, under a name of its own. */
export interface Shown {
  readonly name: string
  /** Place in the order of targets: colour, dash and dot. */
  readonly slot: number
  readonly target: TargetReport
  readonly report: BenchReport
}

export const measured = (target: TargetReport): RequestRow[] =>
  target.requests.filter((row) => row.isMeasured)

export const isAnswered = (row: RequestRow): boolean =>
  row.error === undefined && row.firstTokenAt !== undefined

/** One figure of a request; undefined where it has none. */
export type Metric = (row: RequestRow) => number | undefined

export const ttftOf: Metric = (row) =>
  row.firstTokenAt === undefined ? undefined : row.firstTokenAt - row.intendedAt

export const e2eOf: Metric = (row) => row.endedAt - row.intendedAt

export const tpotOf: Metric = (row) =>
  row.firstTokenAt === undefined || row.outputTokens < 2
    ? undefined
    : (row.endedAt - row.firstTokenAt) / (row.outputTokens - 1)

export const maxGapOf: Metric = (row) => row.maxGap

/** A metric of the measured requests that were answered in full. */
export function valuesOf(target: TargetReport, metric: Metric): number[] {
  return measured(target)
    .filter(isAnswered)
    .flatMap((row) => metric(row) ?? [])
}

/** A metric of all answered requests against another figure of theirs. */
export function pointsOf(rows: readonly RequestRow[], x: Metric, y: Metric): Point[] {
  return rows.filter(isAnswered).flatMap((row) => {
    const [across, up] = [x(row), y(row)]
    return across === undefined || up === undefined ? [] : [{ x: across, y: up }]
  })
}

/**
 * The same target on a clock that starts `millis` later: targets that were measured one after another are compared
 * from their own starts.
 */
export function startedLater(target: TargetReport, millis: number): TargetReport {
  if (!(millis > 0)) return target
  const requests = target.requests.map((row) => ({
    ...row,
    intendedAt: row.intendedAt - millis,
    sentAt: row.sentAt - millis,
    firstTokenAt: row.firstTokenAt === undefined ? undefined : row.firstTokenAt - millis,
    endedAt: row.endedAt - millis,
  }))
  const scrapes = target.scrapes.map((row) => ({ ...row, at: row.at - millis })).filter(({ at }) => at >= 0)
  return { ...target, requests, scrapes }
}

/** When the first request was meant to be sent; infinite without requests. */
export const firstArrival = (target: TargetReport): number =>
  target.requests.reduce((first, { intendedAt }) => Math.min(first, intendedAt), Infinity)

/** Seconds from the start to the end of the longest of them. */
export function spanSeconds(shown: readonly Shown[]): number {
  return shown
    .flatMap(({ target }) => [
      ...target.requests.map((row) => row.endedAt),
      ...target.scrapes.map(({ at }) => at),
    ])
    .reduce((latest, at) => (Number.isFinite(at) ? Math.max(latest, at / 1000) : latest), 0)
}
