/** What a bench run says, as data: the JSON file is this, and the HTML page is drawn from it. Pure types. */
import type { Summary } from '../metrics/summary.ts'
import type { Provenance } from '../workload/workload.ts'

export interface BenchReport {
  readonly format: 'switchyard-bench/1'
  /** ISO 8601. */
  readonly createdAt: string
  readonly command: string
  /** True when the run was ended by hand; what follows covers what was done until then. */
  readonly isInterrupted: boolean
  readonly machine: Machine
  readonly client: ClientReport
  readonly workload: WorkloadShape
  readonly goals: Goals
  readonly targets: readonly TargetReport[]
  /** One row for each rate of a sweep and target; absent without a sweep. */
  readonly sweep?: readonly SweepPoint[]
}

export interface Machine {
  readonly cpu: string
  readonly numCores: number
  readonly memoryBytes: number
  readonly platform: string
  readonly nodeVersion: string
  readonly switchyardVersion: string
}

/** Whether the load generator itself kept up. */
export interface ClientReport {
  /** How late requests were sent after their intended arrival. */
  readonly sendLagMs: Summary | undefined
  /** Share of one core that the client used, 0 to 1 and above. */
  readonly cpuShare: number
  readonly eventLoopLagMs: Summary | undefined
  /** Client time per token event against a null server, measured before the run. */
  readonly overheadMicrosPerEvent: number | undefined
  /** Why the figures should not be believed; empty when there is no reason. */
  readonly warnings: readonly string[]
}

/** Latency targets of goodput; absent ones always hold. */
export interface Goals {
  readonly ttftMs?: number
  /** Every gap of the request is at most this at its 99th percentile. */
  readonly tbtMs?: number
  readonly e2eMs?: number
}

export interface WorkloadShape {
  readonly name: string
  readonly seed: number
  readonly loop: { readonly kind: 'open' } | { readonly kind: 'closed'; readonly numUsers: number }
  readonly provenance: readonly Provenance[]
  readonly numRequests: number
  readonly numTenants: number
  readonly numPrograms: number
  readonly durationSeconds: number
  readonly promptTokens: Summary | undefined
  readonly outputTokens: Summary | undefined
  /** Share of prompt tokens that an infinite cache would have held, 0 to 1. */
  readonly reusableShare: number
  /** Intended arrivals in each of equal bins over the run. */
  readonly arrivals: { readonly binSeconds: number; readonly counts: readonly number[] }
}

/** Everything about one server. Figures exclude warm-up and cool-down; `requests` has every request. */
export interface TargetReport {
  readonly name: string
  readonly url: string
  readonly model: string
  /** `switchyard 0.1.0`, `llama-server b1234`, ... where the server says so. */
  readonly server: string | undefined
  readonly figures: TargetFigures
  readonly requests: readonly RequestRow[]
  readonly scrapes: readonly ScrapeRow[]
  /** Parts of the trace that came out otherwise than asked for: counts of prompt, cached or output tokens, by kind. */
  readonly mismatches: Readonly<Record<string, number>>
}

export interface TargetFigures {
  readonly numMeasured: number
  readonly numExcluded: number
  readonly numFailed: number
  /** How many failed, by message. */
  readonly errors: Readonly<Record<string, number>>
  readonly durationSeconds: number
  readonly requestsPerSecond: number
  readonly promptTokensPerSecond: number
  readonly outputTokensPerSecond: number
  /** Share of prompt tokens that came from the server's prefix cache; undefined when it does not say. */
  readonly cachedShare: number | undefined
  /** From the intended arrival to the first token. */
  readonly ttftMs: Summary | undefined
  /** Gaps between token events, over all answers. */
  readonly tbtMs: Summary | undefined
  /** Mean per token after the first, one figure an answer. */
  readonly tpotMs: Summary | undefined
  readonly e2eMs: Summary | undefined
  /** Requests per second that met all goals, and their share. */
  readonly goodput: { readonly requestsPerSecond: number; readonly share: number } | undefined
  readonly tenants: readonly TenantFigures[]
  readonly fairness: Fairness | undefined
}

export interface TenantFigures {
  readonly tenant: string
  readonly numMeasured: number
  readonly numFailed: number
  readonly promptTokens: number
  readonly outputTokens: number
  readonly ttftMs: Summary | undefined
  readonly e2eMs: Summary | undefined
}

export interface Fairness {
  /** Jain's index over tenants of the service (weighted tokens) that they got while others wanted some too: 1/n to 1. */
  readonly jain: number
  /** Largest difference in service between two tenants that both had work waiting, in weighted tokens. */
  readonly largestServiceGap: number
  /** Weighted tokens that each tenant had got by the end of each bin. */
  readonly service: {
    readonly binSeconds: number
    readonly byTenant: Readonly<Record<string, readonly number[]>>
  }
}

/** One request, small enough for thousands; times in ms from the start of the run. */
export interface RequestRow {
  readonly tenant: string
  readonly program: string | undefined
  readonly turn: number
  readonly intendedAt: number
  readonly sentAt: number
  readonly firstTokenAt: number | undefined
  readonly endedAt: number
  readonly maxGap: number | undefined
  readonly promptTokens: number
  readonly cachedTokens: number | undefined
  readonly outputTokens: number
  readonly isMeasured: boolean
  readonly error: string | undefined
}

/** The server's own figures at one instant, under our names whatever it calls them. */
export interface ScrapeRow {
  readonly at: number
  readonly numRunning: number | undefined
  readonly numWaiting: number | undefined
  readonly kvUsage: number | undefined
}

export interface SweepPoint {
  readonly target: string
  readonly requestsPerSecond: number
  readonly figures: Pick<
    TargetFigures,
    'requestsPerSecond' | 'outputTokensPerSecond' | 'ttftMs' | 'e2eMs' | 'goodput'
  >
}
