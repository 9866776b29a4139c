/** Whether the load generator kept up: a client that is late makes a server look slow. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { summarize } from '../metrics/summary.ts'
import type { ClientReport } from './bench-report.ts'
import type { RequestRecord } from './request-record.ts'

/** Sending later than this at the 99th percentile, or a loop that stood still so long, spoils latencies. */
const mostLagMs = 50
const mostCpuShare = 0.9
const resolutionMs = 5

/** Watches this process from now on. */
export class ClientHealth {
  readonly #delay = monitorEventLoopDelay({ resolution: resolutionMs })
  readonly #startedAt = performance.now()
  readonly #cpu = process.cpuUsage()

  constructor() {
    this.#delay.enable()
  }

  /** Ends the watch. */
  report(records: readonly RequestRecord[], overheadMicrosPerEvent: number | undefined): ClientReport {
    this.#delay.disable()
    const { user, system } = process.cpuUsage(this.#cpu)
    const cpuShare = (user + system) / 1000 / (performance.now() - this.#startedAt)
    const sendLagMs = summarize(records.map(({ sentAt, intendedAt }) => sentAt - intendedAt))
    const eventLoopLagMs = delaySummary(this.#delay)
    const warnings = [
      ...(sendLagMs !== undefined && sendLagMs.p99 > mostLagMs
        ? [`Requests were sent up to ${sendLagMs.p99.toFixed(0)} ms late (99th percentile).`]
        : []),
      ...(eventLoopLagMs !== undefined && eventLoopLagMs.p99 > mostLagMs
        ? [`The client stood still for up to ${eventLoopLagMs.p99.toFixed(0)} ms (99th percentile).`]
        : []),
      ...(cpuShare > mostCpuShare ? [`The client used ${(cpuShare * 100).toFixed(0)} % of a core.`] : []),
    ]
    return { sendLagMs, cpuShare, eventLoopLagMs, overheadMicrosPerEvent, warnings }
  }
}

/** Nanoseconds of the monitor, which counts its own interval in. */
function delaySummary(delay: ReturnType<typeof monitorEventLoopDelay>): ClientReport['eventLoopLagMs'] {
  if (delay.count === 0) return undefined
  const lag = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - resolutionMs)
  return {
    count: delay.count,
    mean: lag(delay.mean),
    min: lag(delay.min),
    p50: lag(delay.percentile(50)),
    p90: lag(delay.percentile(90)),
    p99: lag(delay.percentile(99)),
    max: lag(delay.max),
  }
}
