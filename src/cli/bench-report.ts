/** What a bench run says: pure figures from its records, as an object for JSON and as a table. */
import { summarize, type Summary } from '../metrics/summary.ts'
import type { RequestRecord } from './bench-client.ts'

/** Latencies in milliseconds; undefined where no request gave any. */
export interface BenchResult {
  readonly numCompleted: number
  readonly numFailed: number
  /** How many requests failed, by message. */
  readonly errors: Readonly<Record<string, number>>
  readonly durationSeconds: number
  readonly promptTokens: number
  readonly outputTokens: number
  readonly requestsPerSecond: number
  readonly outputTokensPerSecond: number
  readonly totalTokensPerSecond: number
  /** From the intended arrival to the first token. */
  readonly ttftMs: Summary | undefined
  /** Each gap between two pieces of an answer, over all answers. */
  readonly tbtMs: Summary | undefined
  /** Mean time per token after the first, one figure an answer. */
  readonly tpotMs: Summary | undefined
  /** From the intended arrival to the end. */
  readonly e2eMs: Summary | undefined
}

/** Failed requests count in `errors` alone. */
export function summarizeRun(records: readonly RequestRecord[], durationSeconds: number): BenchResult {
  const completed = records.filter(({ error }) => error === undefined)
  const promptTokens = sum(completed.map(({ numPromptTokens }) => numPromptTokens))
  const outputTokens = sum(completed.map(({ numOutputTokens }) => numOutputTokens))
  return {
    numCompleted: completed.length,
    numFailed: records.length - completed.length,
    errors: countErrors(records),
    durationSeconds,
    promptTokens,
    outputTokens,
    requestsPerSecond: completed.length / durationSeconds,
    outputTokensPerSecond: outputTokens / durationSeconds,
    totalTokensPerSecond: (promptTokens + outputTokens) / durationSeconds,
    ttftMs: summarize(completed.map(({ tokenTimes, intendedAt }) => tokenTimes[0]! - intendedAt)),
    tbtMs: summarize(completed.flatMap(gaps)),
    tpotMs: summarize(completed.flatMap(timePerToken)),
    e2eMs: summarize(completed.map(({ endedAt, intendedAt }) => endedAt - intendedAt)),
  }
}

/** Lines for a terminal; fits in 80 columns. */
export function benchTable(result: BenchResult): string {
  const count = (value: number): string => value.toFixed(value < 100 ? 2 : 1)
  const figures = [
    ['requests completed', String(result.numCompleted)],
    ['requests failed', String(result.numFailed)],
    ['duration (s)', count(result.durationSeconds)],
    ['requests/s', count(result.requestsPerSecond)],
    ['output tokens/s', count(result.outputTokensPerSecond)],
    ['all tokens/s', count(result.totalTokensPerSecond)],
  ] as const
  const rows = figures.map(([name, value]) => `${name.padEnd(20)}${value.padStart(12)}\n`)
  const header = ['mean', 'p50', 'p90', 'p99'].map((name) => name.padStart(12)).join('')
  const latencies = [
    latencyRow('TTFT', result.ttftMs),
    latencyRow('TBT', result.tbtMs),
    latencyRow('TPOT', result.tpotMs),
    latencyRow('end to end', result.e2eMs),
  ]
  const errors = Object.entries(result.errors).map(([message, times]) => `${times} x ${message}\n`)
  return [...rows, `\n${'milliseconds'.padEnd(20)}${header}\n`, ...latencies, ...errors].join('')
}

function latencyRow(name: string, summary: Summary | undefined): string {
  const cell = (value: number | undefined): string => (value?.toFixed(2) ?? '-').padStart(12)
  const values = [summary?.mean, summary?.p50, summary?.p90, summary?.p99]
  return `${name.padEnd(20)}${values.map(cell).join('')}\n`
}

function gaps({ tokenTimes }: RequestRecord): number[] {
  return tokenTimes.slice(1).map((at, index) => at - tokenTimes[index]!)
}

function timePerToken({ tokenTimes, numOutputTokens }: RequestRecord): number[] {
  if (numOutputTokens < 2) return []
  return [(tokenTimes.at(-1)! - tokenTimes[0]!) / (numOutputTokens - 1)]
}

function countErrors(records: readonly RequestRecord[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const { error } of records) if (error !== undefined) counts.set(error, (counts.get(error) ?? 0) + 1)
  return Object.fromEntries(counts)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
