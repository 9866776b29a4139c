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

/** Sums a gauge over its labels: a server with several engines has one line for each. */
export function readGauges(page: string, names: MetricNames, at: number): ScrapeRow {
  const gauge = (candidates: readonly string[]): number | undefined => {
    for (const name of candidates) {
      const values = page.split('\n').flatMap((line) => valueOf(line, name))
      if (values.length > 0) return values.reduce((total, value) => total + value, 0)
    }
    return undefined
  }
  return {
    at,
    numRunning: gauge(names.numRunning),
    numWaiting: gauge(names.numWaiting),
    kvUsage: gauge(names.kvUsage),
  }
}

function valueOf(line: string, name: string): number[] {
  if (!line.startsWith(name)) return []
  const rest = /^(?:\{.*\})?\s+(\S+)/.exec(line.slice(name.length))
  const value = Number(rest?.[1])
  return rest === null || Number.isNaN(value) ? [] : [value]
}
