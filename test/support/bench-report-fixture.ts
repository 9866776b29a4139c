/** Made-up bench reports that look like real ones: queues that build up, tails, tenants, failures. */
import type { BenchReport, RequestRow, ScrapeRow, TargetReport } from '../../src/bench/bench-report.ts'
import { RandomStream } from '../../src/core/random.ts'
import { summarize } from '../../src/metrics/summary.ts'

export interface ReportShape {
  /** Name and slowness, 1 is the usual. */
  readonly targets: readonly (readonly [name: string, slowness: number])[]
  readonly numRequests: number
  readonly numTenants: number
  readonly failedShare?: number
  readonly hasSweep?: boolean
  readonly isInterrupted?: boolean
  readonly warnings?: readonly string[]
  readonly seed?: number
}

const runSeconds = 300

export function makeReport(shape: ReportShape): BenchReport {
  const random = new RandomStream(shape.seed ?? 7)
  const arrivals = Array.from({ length: shape.numRequests }, () => arrivalAt(random)).toSorted(
    (a, b) => a - b,
  )
  const requests = arrivals.map((at) => makeRequest(at, shape.numTenants, random))
  const targets = shape.targets.map(([name, slowness], index) =>
    makeTarget(name, answers(requests, slowness, shape.failedShare ?? 0, random.split(index))),
  )
  return {
    format: 'switchyard-bench/1',
    createdAt: '2026-11-21T10:00:00.000Z',
    command:
      'switchyard bench --workload azure-conv.csv --rate-scale 0.8 --ttft-ms 1000 --tbt-ms 120 --json out.json',
    isInterrupted: shape.isInterrupted ?? false,
    machine: {
      cpu: 'AMD EPYC 9B14',
      numCores: 2,
      memoryBytes: 16 * 2 ** 30,
      platform: 'linux-x64',
      nodeVersion: 'v20.19.5',
      switchyardVersion: '0.1.0',
    },
    client: {
      sendLagMs: summarize(arrivals.map(() => 0.2 + random.next() ** 8 * 6)),
      cpuShare: 0.21,
      eventLoopLagMs: summarize(arrivals.map(() => 0.1 + random.next() ** 6 * 4)),
      overheadMicrosPerEvent: 18.4,
      warnings: shape.warnings ?? [],
    },
    workload: {
      name: 'azure-conv',
      seed: 42,
      loop: { kind: 'open' },
      provenance: [
        { action: 'read', parameters: { format: 'azure', file: 'azure-conv.csv', rows: 19366 } },
        { action: 'slice', parameters: { fromSeconds: 600, seconds: 300 } },
        { action: 'scale-rate', parameters: { factor: 0.8 } },
      ],
      numRequests: requests.length,
      numTenants: shape.numTenants,
      numPrograms: Math.floor(requests.length / 3),
      durationSeconds: runSeconds,
      promptTokens: summarize(requests.map(({ promptTokens }) => promptTokens)),
      outputTokens: summarize(requests.map(({ outputTokens }) => outputTokens)),
      reusableShare: 0.617,
      arrivals: { binSeconds: 5, counts: countArrivals(arrivals) },
    },
    goals: { ttftMs: 1000, tbtMs: 120 },
    targets,
    ...(shape.hasSweep === true
      ? { sweep: targets.flatMap((target, index) => makeSweep(target, 10.5 / shape.targets[index]![1])) }
      : {}),
  }
}

/** More in the middle of the run than at its ends. */
const arrivalAt = (random: RandomStream): number => ((random.next() + random.next()) / 2) * runSeconds * 1000

type Request = Pick<
  RequestRow,
  'tenant' | 'program' | 'turn' | 'intendedAt' | 'promptTokens' | 'outputTokens'
>

function makeRequest(intendedAt: number, numTenants: number, random: RandomStream): Request {
  return {
    tenant: `tenant-${Math.floor(numTenants * random.next() ** 2) + 1}`,
    program: undefined,
    turn: 0,
    intendedAt,
    promptTokens: Math.round(30 * Math.exp(4.5 * random.next())),
    outputTokens: Math.round(8 * Math.exp(3.2 * random.next())),
  }
}

/** A single server whose queue drains at a steady pace, so that bursts show. */
function answers(
  requests: readonly Request[],
  slowness: number,
  failedShare: number,
  random: RandomStream,
): RequestRow[] {
  const pace = (slowness * 0.75 * runSeconds * 1000) / Math.max(requests.length, 1)
  let freeAt = 0
  return requests.map((request) => {
    const startedAt = Math.max(freeAt, request.intendedAt)
    freeAt = startedAt + pace * (0.4 + 1.2 * random.next())
    const firstTokenAt =
      startedAt + slowness * (20 + request.promptTokens * 0.3) * (0.8 + 0.4 * random.next())
    const gap = slowness * (18 + 25 * random.next())
    const isFailed = random.next() < failedShare
    return {
      ...request,
      sentAt: request.intendedAt + 0.3,
      firstTokenAt: isFailed ? undefined : firstTokenAt,
      endedAt: isFailed ? startedAt + 50 : firstTokenAt + gap * (request.outputTokens - 1),
      maxGap: isFailed || request.outputTokens < 2 ? undefined : gap * (1 + 6 * random.next() ** 6),
      cachedTokens: Math.round(request.promptTokens * 0.5),
      isMeasured: request.intendedAt > 20_000 && request.intendedAt < 280_000,
      error: isFailed ? (random.next() < 0.7 ? 'HTTP 503: overloaded' : 'connection reset') : undefined,
    }
  })
}

function makeTarget(name: string, requests: readonly RequestRow[]): TargetReport {
  const measured = requests.filter((row) => row.isMeasured)
  const good = measured.filter((row) => row.error === undefined)
  const failed = measured.filter((row) => row.error !== undefined)
  const tenants = [...new Set(requests.map(({ tenant }) => tenant))].toSorted()
  const byTenant = Object.fromEntries(tenants.map((tenant) => [tenant, serviceOf(requests, tenant)]))
  const last = Object.values(byTenant).map((sums) => sums.at(-1) ?? 0)
  const met = good.filter((row) => row.firstTokenAt! - row.intendedAt <= 1000).length
  const windowSeconds = 260
  return {
    name,
    url: 'http://127.0.0.1:8000',
    model: 'bench-q4_0.gguf',
    server: name === 'switchyard' ? 'switchyard 0.1.0' : 'llama-server b6123',
    figures: {
      numMeasured: good.length,
      numExcluded: requests.length - measured.length,
      numFailed: failed.length,
      errors: countErrors(failed),
      durationSeconds: windowSeconds,
      requestsPerSecond: good.length / windowSeconds,
      promptTokensPerSecond: sum(good.map((row) => row.promptTokens)) / windowSeconds,
      outputTokensPerSecond: sum(good.map((row) => row.outputTokens)) / windowSeconds,
      cachedShare: name === 'switchyard' ? 0.553 : undefined,
      ttftMs: summarize(good.map((row) => row.firstTokenAt! - row.intendedAt)),
      tbtMs: summarize(good.map((row) => row.maxGap ?? 20)),
      tpotMs: summarize(
        good.map((row) => (row.endedAt - row.firstTokenAt!) / Math.max(row.outputTokens - 1, 1)),
      ),
      e2eMs: summarize(good.map((row) => row.endedAt - row.intendedAt)),
      goodput: { requestsPerSecond: met / windowSeconds, share: met / Math.max(measured.length, 1) },
      tenants: tenants.map((tenant) => tenantFigures(measured, tenant)),
      fairness: {
        jain: sum(last) ** 2 / Math.max(last.length * sum(last.map((value) => value * value)), 1e-9),
        largestServiceGap: last.length === 0 ? 0 : Math.max(...last) - Math.min(...last),
        service: { binSeconds: 10, byTenant },
      },
    },
    requests,
    scrapes: makeScrapes(requests),
    mismatches: {},
  }
}

function tenantFigures(measured: readonly RequestRow[], tenant: string) {
  const rows = measured.filter((row) => row.tenant === tenant)
  const good = rows.filter((row) => row.error === undefined)
  return {
    tenant,
    numMeasured: good.length,
    numFailed: rows.length - good.length,
    promptTokens: sum(good.map((row) => row.promptTokens)),
    outputTokens: sum(good.map((row) => row.outputTokens)),
    ttftMs: summarize(good.map((row) => row.firstTokenAt! - row.intendedAt)),
    e2eMs: summarize(good.map((row) => row.endedAt - row.intendedAt)),
  }
}

function serviceOf(requests: readonly RequestRow[], tenant: string): number[] {
  const own = requests.filter((row) => row.tenant === tenant && row.error === undefined)
  return Array.from({ length: 32 }, (_, bin) =>
    sum(
      own
        .filter((row) => row.endedAt < (bin + 1) * 10_000)
        .map((row) => row.promptTokens + 2 * row.outputTokens),
    ),
  )
}

function makeScrapes(requests: readonly RequestRow[]): ScrapeRow[] {
  return Array.from({ length: runSeconds }, (_, second) => {
    const at = second * 1000
    const inside = requests.filter((row) => row.sentAt <= at && row.endedAt > at)
    const numRunning = Math.min(inside.length, 8)
    return { at, numRunning, numWaiting: inside.length - numRunning, kvUsage: Math.min(1, 0.11 * numRunning) }
  })
}

/** Rates around a capacity in requests per second. */
function makeSweep({ name, figures }: TargetReport, capacity: number) {
  return [0.25, 0.5, 0.75, 1, 1.25, 1.5].map((factor) => {
    const offered = factor * 8
    const done = Math.min(offered, capacity)
    const late = Math.max(1, (1.1 * offered) / capacity) ** 6
    return {
      target: name,
      requestsPerSecond: offered,
      figures: {
        requestsPerSecond: done,
        outputTokensPerSecond: done * 60,
        ttftMs: scaled(figures.ttftMs, late),
        e2eMs: scaled(figures.e2eMs, late),
        goodput: { requestsPerSecond: done / late, share: 1 / late },
      },
    }
  })
}

const scaled = <Of extends object>(summary: Of | undefined, factor: number): Of | undefined =>
  summary === undefined
    ? undefined
    : (Object.fromEntries(
        Object.entries(summary).map(([key, value]) => [
          key,
          key === 'count' ? value : Number(value) * factor,
        ]),
      ) as Of)

function countArrivals(arrivals: readonly number[]): number[] {
  const counts = Array.from({ length: runSeconds / 5 }, () => 0)
  for (const at of arrivals) counts[Math.min(Math.floor(at / 5000), counts.length - 1)]! += 1
  return counts
}

function countErrors(failed: readonly RequestRow[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { error } of failed) counts[error!] = (counts[error!] ?? 0) + 1
  return counts
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
