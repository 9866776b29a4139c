import type { RequestRow } from './bench-report.ts'

/** One finished request with all that was seen of it. Instants are milliseconds from the start of the run. */
export interface RequestRecord extends Omit<RequestRow, 'isMeasured'> {
  /** Position in the workload. */
  readonly index: number
  /** Which of several passes over the workload; absent when there is one. */
  readonly round?: number
  /** Instants of the events that carried output. */
  readonly tokenTimes: readonly number[]
  /** What the trace asked for. */
  readonly wanted: { readonly promptTokens: number; readonly outputTokens: number }
}
