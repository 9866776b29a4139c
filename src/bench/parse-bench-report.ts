/** Checks a JSON file before anything draws from it: files are edited, cut short, and come from other versions. */
import { z } from 'zod'

import { ServingError } from '../core/errors.ts'
import type { BenchReport } from './bench-report.ts'

/** @throws {ServingError} INVALID_REQUEST: one line with `where` and what is wrong. */
export function parseBenchReport(text: string, where: string): BenchReport {
  const json = parseJson(text, where)
  const format = (json as { format?: unknown } | null)?.format
  if (format !== 'switchyard-bench/1') {
    throw new ServingError(
      'INVALID_REQUEST',
      `${where}: no report of switchyard bench (its format is not switchyard-bench/1).`,
    )
  }
  const result = reportSchema.safeParse(json)
  if (result.success) return result.data as BenchReport
  const issue = result.error.issues[0]
  throw new ServingError(
    'INVALID_REQUEST',
    `${where}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not as expected'}.`,
  )
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ServingError('INVALID_REQUEST', `${where}: not JSON (${(cause as Error).message}).`, { cause })
  }
}

/** JSON has no `undefined`: such fields are missing, or null where somebody else wrote the file. */
const maybe = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined)

const number = z.number()
const count = z.number().int().min(0)

const summary = z.object({
  count,
  mean: number,
  min: number,
  p50: number,
  p90: number,
  p99: number,
  max: number,
})

const tenantFigures = z.object({
  tenant: z.string(),
  numMeasured: count,
  numFailed: count,
  promptTokens: number,
  outputTokens: number,
  ttftMs: maybe(summary),
  e2eMs: maybe(summary),
})

const fairness = z.object({
  jain: number,
  largestServiceGap: number,
  service: z.object({ binSeconds: number.positive(), byTenant: z.record(z.string(), z.array(number)) }),
})

const goodput = z.object({ requestsPerSecond: number, share: number })

const figures = z.object({
  numMeasured: count,
  numExcluded: count,
  numFailed: count,
  errors: z.record(z.string(), count),
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
  tenants: z.array(tenantFigures),
  fairness: maybe(fairness),
})

const requestRow = z.object({
  tenant: z.string(),
  program: maybe(z.string()),
  turn: count,
  intendedAt: number,
  sentAt: number,
  firstTokenAt: maybe(number),
  endedAt: number,
  maxGap: maybe(number),
  promptTokens: number,
  cachedTokens: maybe(number),
  outputTokens: number,
  isMeasured: z.boolean(),
  error: maybe(z.string()),
})

const scrapeRow = z.object({
  at: number,
  numRunning: maybe(number),
  numWaiting: maybe(number),
  kvUsage: maybe(number),
})

const target = z.object({
  name: z.string(),
  url: z.string(),
  model: z.string(),
  server: maybe(z.string()),
  figures,
  requests: z.array(requestRow),
  scrapes: z.array(scrapeRow),
  mismatches: z.record(z.string(), count),
})

const workload = z.object({
  name: z.string(),
  seed: number,
  loop: z.union([
    z.object({ kind: z.literal('open') }),
    z.object({ kind: z.literal('closed'), numUsers: count }),
  ]),
  provenance: z.array(
    z.object({
      action: z.string(),
      parameters: z.record(z.string(), z.union([z.string(), number, z.boolean()])),
    }),
  ),
  numRequests: count,
  numTenants: count,
  numPrograms: count,
  durationSeconds: number,
  promptTokens: maybe(summary),
  outputTokens: maybe(summary),
  reusableShare: number,
  arrivals: z.object({ binSeconds: number.positive(), counts: z.array(number) }),
})

const sweepPoint = z.object({
  target: z.string(),
  requestsPerSecond: number,
  figures: figures.pick({
    requestsPerSecond: true,
    outputTokensPerSecond: true,
    ttftMs: true,
    e2eMs: true,
    goodput: true,
  }),
})

const reportSchema = z.object({
  format: z.literal('switchyard-bench/1'),
  createdAt: z.string(),
  command: z.string(),
  isInterrupted: z.boolean(),
  machine: z.object({
    cpu: z.string(),
    numCores: count,
    memoryBytes: number,
    platform: z.string(),
    nodeVersion: z.string(),
    switchyardVersion: z.string(),
  }),
  client: z.object({
    sendLagMs: maybe(summary),
    cpuShare: number,
    eventLoopLagMs: maybe(summary),
    overheadMicrosPerEvent: maybe(number),
    warnings: z.array(z.string()),
  }),
  workload,
  goals: z.object({
    ttftMs: number.optional(),
    tbtMs: number.optional(),
    e2eMs: number.optional(),
  }),
  targets: z.array(target),
  sweep: z.array(sweepPoint).optional(),
})
