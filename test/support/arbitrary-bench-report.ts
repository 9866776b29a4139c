/** Any bench report that the types allow, with the numbers and names that break pages. */
import fc from 'fast-check'

import type { BenchReport, RequestRow, TargetReport } from '../../src/bench/bench-report.ts'
import type { Summary } from '../../src/metrics/summary.ts'

const number = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: 0, max: 1e6, noNaN: true }) },
  { weight: 1, arbitrary: fc.double() },
  { weight: 1, arbitrary: fc.constantFrom(0, -0, 1e-9, Number.MAX_VALUE, Number.MIN_VALUE, 2 ** 53) },
)
const count = fc.nat(10_000)
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('<b>', '"\'&', '</script>', '__proto__', 'constructor', '', '\uD800'),
)
const maybe = <Of>(of: fc.Arbitrary<Of>): fc.Arbitrary<Of | undefined> => fc.option(of, { nil: undefined })

const summary: fc.Arbitrary<Summary> = fc.record({
  count,
  mean: number,
  min: number,
  p50: number,
  p90: number,
  p99: number,
  max: number,
})

const goodput = fc.record({ requestsPerSecond: number, share: number })

const tenant = fc.record({
  tenant: text,
  numMeasured: count,
  numFailed: count,
  promptTokens: number,
  outputTokens: number,
  ttftMs: maybe(summary),
  e2eMs: maybe(summary),
})

const fairness = fc.record({
  jain: number,
  largestServiceGap: number,
  service: fc.record({
    binSeconds: fc.double({ min: 0.001, max: 1e6, noNaN: true }),
    byTenant: fc.dictionary(text, fc.array(number, { maxLength: 5 }), { maxKeys: 5 }),
  }),
})

const figures = fc.record({
  numMeasured: count,
  numExcluded: count,
  numFailed: count,
  errors: fc.dictionary(text, count, { maxKeys: 4 }),
  durationSeconds: number,
  requestsPerSecond: number,
  promptTokensPerSecond: number,
  outputTokensPerSecond: number,
  cachedShare: maybe(number),
  ttftMs: maybe(summary),
  tbtMs: maybe(summary),
  tpotMs: maybe(summary),
  e2eMs: maybe(summary),
  goodput: maybe(goodput),
  tenants: fc.array(tenant, { maxLength: 4 }),
  fairness: maybe(fairness),
})

const request: fc.Arbitrary<RequestRow> = fc.record({
  tenant: text,
  program: maybe(text),
  turn: count,
  intendedAt: number,
  sentAt: number,
  firstTokenAt: maybe(number),
  endedAt: number,
  maxGap: maybe(number),
  promptTokens: number,
  cachedTokens: maybe(number),
  outputTokens: number,
  isMeasured: fc.boolean(),
  error: maybe(text),
})

const target: fc.Arbitrary<TargetReport> = fc.record({
  name: text,
  url: text,
  model: text,
  server: maybe(text),
  figures,
  requests: fc.array(request, { maxLength: 12 }),
  scrapes: fc.array(
    fc.record({ at: number, numRunning: maybe(number), numWaiting: maybe(number), kvUsage: maybe(number) }),
    { maxLength: 4 },
  ),
  mismatches: fc.dictionary(text, count, { maxKeys: 3 }),
})

const workload = fc.record({
  name: text,
  seed: number,
  loop: fc.oneof(
    fc.constant({ kind: 'open' as const }),
    count.map((numUsers) => ({ kind: 'closed' as const, numUsers })),
  ),
  provenance: fc.array(
    fc.record({
      action: text,
      parameters: fc.dictionary(text, fc.oneof(text, number, fc.boolean()), { maxKeys: 3 }),
    }),
    { maxLength: 3 },
  ),
  numRequests: count,
  numTenants: count,
  numPrograms: count,
  durationSeconds: number,
  promptTokens: maybe(summary),
  outputTokens: maybe(summary),
  reusableShare: number,
  arrivals: fc.record({
    binSeconds: fc.double({ min: 0.001, max: 1e6, noNaN: true }),
    counts: fc.array(number, { maxLength: 8 }),
  }),
})

const base = fc.record({
  format: fc.constant('switchyard-bench/1' as const),
  createdAt: text,
  command: text,
  isInterrupted: fc.boolean(),
  machine: fc.record({
    cpu: text,
    numCores: count,
    memoryBytes: number,
    platform: text,
    nodeVersion: text,
    switchyardVersion: text,
  }),
  client: fc.record({
    sendLagMs: maybe(summary),
    cpuShare: number,
    eventLoopLagMs: maybe(summary),
    overheadMicrosPerEvent: maybe(number),
    warnings: fc.array(text, { maxLength: 2 }),
  }),
  workload,
  goals: fc.record({ ttftMs: number, tbtMs: number, e2eMs: number }, { requiredKeys: [] }),
  targets: fc.array(target, { maxLength: 10 }),
})

/** A sweep is of targets that the report has, mostly. */
export const arbitraryReport: fc.Arbitrary<BenchReport> = base.chain((report) => {
  const names = fc.oneof(text, ...report.targets.map(({ name }) => fc.constant(name)))
  const point = fc.record({
    target: names,
    requestsPerSecond: number,
    figures: fc.record({
      requestsPerSecond: number,
      outputTokensPerSecond: number,
      ttftMs: maybe(summary),
      e2eMs: maybe(summary),
      goodput: maybe(goodput),
    }),
  })
  return maybe(fc.array(point, { maxLength: 6 })).map((sweep) =>
    sweep === undefined ? report : { ...report, sweep },
  )
})
