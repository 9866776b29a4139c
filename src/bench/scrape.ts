/** A server's own view of itself during a run, from its Prometheus page. */
import type { ScrapeRow } from './bench-report.ts'
import { fetchText } from './http-client.ts'
import type { MetricNames } from './targets/adapter.ts'
import type { Target } from './targets/target.ts'

const intervalMs = 1000

/** Asks once a second until `stop`; a server without the page, or that does not answer, leaves no rows. */
export function startScraping({ endpoint, adapter }: Target): {
  readonly rows: readonly ScrapeRow[]
  stop: () => void
} {
  const rows: ScrapeRow[] = []
  const { metrics } = adapter
  if (metrics === undefined) return { rows, stop: () => undefined }
  const startedAt = performance.now()
  let isAsking = false
  const ask = async (): Promise<void> => {
    if (isAsking) return
    isAsking = true
    const at = performance.now() - startedAt
    const page = await fetchText(endpoint, '/metrics').catch(() => undefined)
    if (page !== undefined) rows.push(readGauges(page, metrics, at))
    isAsking = false
  }
  void ask()
  const timer = setInterval(() => void ask(), intervalMs)
  return { rows, stop: () => clearInterval(timer) }
}

/** A server with several engines has one line for each: counts are summed, shares averaged. */
export function readGauges(page: string, names: MetricNames, at: number): ScrapeRow {
  const lines = page.split('\n')
  const valuesOf = (candidates: readonly string[]): readonly number[] =>
    candidates
      .map((name) => lines.flatMap((line) => valueOf(line, name)))
      .find((values) => values.length > 0) ?? []
  const total = (values: readonly number[]): number | undefined =>
    values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0)
  const shares = valuesOf(names.kvUsage)
  const sumOfShares = total(shares)
  return {
    at,
    numRunning: total(valuesOf(names.numRunning)),
    numWaiting: total(valuesOf(names.numWaiting)),
    kvUsage: sumOfShares === undefined ? undefined : sumOfShares / shares.length,
  }
}

function valueOf(line: string, name: string): number[] {
  if (!line.startsWith(name)) return []
  const rest = /^(?:\{.*\})?\s+(\S+)/.exec(line.slice(name.length))
  const value = Number(rest?.[1])
  return rest === null || Number.isNaN(value) ? [] : [value]
}
