/** From the records of a run to the figures of its report. Pure. */
import { SampleCollector } from '../metrics/sample-collector.ts'
import { percentile, summarize, type Summary } from '../metrics/summary.ts'
import type { Goals, TargetFigures, TenantFigures } from './bench-report.ts'
import { roundsOf, selectMeasured } from './measured-requests.ts'
import type { RequestRecord } from './request-record.ts'
import { byTenant, fairnessOf } from './tenant-service.ts'

/** `counts`: the records that are no warm-up or cool-down. */
export function figuresOf(
  records: readonly RequestRecord[],
  goals: Goals,
  counts = selectMeasured(records),
): TargetFigures {
  const measured = records.filter((record) => counts.has(record))
  const completed = measured.filter(({ error }) => error === undefined)
  const durationSeconds = sumOf(roundsOf(measured).map(spanOf)) / 1000
  const perSecond = (count: number): number => (durationSeconds > 0 ? count / durationSeconds : 0)
  const met = completed.filter((record) => meets(record, goals)).length
  const hasGoals = Object.values(goals).some((goal) => goal !== undefined)
  return {
    numMeasured: measured.length,
    numExcluded: records.length - measured.length,
    numFailed: measured.length - completed.length,
    errors: countErrors(measured),
    durationSeconds,
    requestsPerSecond: perSecond(completed.length),
    promptTokensPerSecond: perSecond(sum(completed, ({ promptTokens }) => promptTokens)),
    outputTokensPerSecond: perSecond(sum(completed, ({ outputTokens }) => outputTokens)),
    cachedShare: cachedShare(completed),
    ttftMs: summarize(completed.map(({ firstTokenAt, intendedAt }) => firstTokenAt! - intendedAt)),
    tbtMs: summarizeGaps(completed),
    tpotMs: summarize(completed.flatMap((record) => timePerToken(record) ?? [])),
    e2eMs: summarize(completed.map(({ endedAt, intendedAt }) => endedAt - intendedAt)),
    goodput: hasGoals
      ? { requestsPerSecond: perSecond(met), share: met / Math.max(1, measured.length) }
      : undefined,
    tenants: tenantFigures(measured),
    fairness: fairnessOf(records),
  }
}

/** Whether a request that ended well kept every goal. */
export function meets(record: RequestRecord, { ttftMs, tbtMs, e2eMs }: Goals): boolean {
  const { firstTokenAt, intendedAt, endedAt } = record
  if (ttftMs !== undefined && firstTokenAt! - intendedAt > ttftMs) return false
  if (e2eMs !== undefined && endedAt - intendedAt > e2eMs) return false
  const gaps = tbtMs === undefined ? [] : gapsOf(record)
  return (
    gaps.length === 0 ||
    percentile(
      gaps.toSorted((a, b) => a - b),
      0.99,
    ) <= tbtMs!
  )
}

/** Counts of requests whose lengths came out otherwise than the trace asked, by kind. */
export function mismatchesOf(
  records: readonly RequestRecord[],
  expectedCached: readonly number[] | undefined,
): Record<string, number> {
  const counts: Record<MismatchKind, number> = { promptTokens: 0, outputTokens: 0, cachedTokens: 0 }
  for (const record of records) {
    if (record.error !== undefined) continue
    for (const kind of mismatchKinds(record, expectedCached)) counts[kind] += 1
  }
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0))
}

export type MismatchKind = 'promptTokens' | 'outputTokens' | 'cachedTokens'

/** Which lengths of a request came out otherwise than the trace asked. */
export function mismatchKinds(
  { promptTokens, outputTokens, cachedTokens, wanted, index }: RequestRecord,
  expectedCached: readonly number[] | undefined,
): MismatchKind[] {
  const kinds: MismatchKind[] = []
  if (promptTokens !== wanted.promptTokens) kinds.push('promptTokens')
  if (outputTokens !== wanted.outputTokens) kinds.push('outputTokens')
  if (expectedCached !== undefined && cachedTokens !== expectedCached[index]) kinds.push('cachedTokens')
  return kinds
}

/** All gaps of a long run would not fit into memory. */
function summarizeGaps(records: readonly RequestRecord[]): Summary | undefined {
  const collector = new SampleCollector()
  for (const { tokenTimes } of records) {
    for (let index = 1; index < tokenTimes.length; index += 1) {
      collector.add(tokenTimes[index]! - tokenTimes[index - 1]!)
    }
  }
  return collector.summary()
}

function gapsOf({ tokenTimes }: RequestRecord): number[] {
  return tokenTimes.slice(1).map((at, index) => at - tokenTimes[index]!)
}

/** Between the first event and the last one; undefined for answers of one token or event. */
export function timePerToken({ tokenTimes, outputTokens }: RequestRecord): number | undefined {
  if (outputTokens < 2 || tokenTimes.length < 2) return undefined
  return (tokenTimes.at(-1)! - tokenTimes[0]!) / (outputTokens - 1)
}

/** From the first request's due time to the last one's end, in ms. */
function spanOf(records: readonly RequestRecord[]): number {
  let from = Infinity
  let to = 0
  for (const { intendedAt, endedAt } of records) {
    from = Math.min(from, intendedAt)
    to = Math.max(to, endedAt)
  }
  return Math.max(0, to - from)
}

function cachedShare(records: readonly RequestRecord[]): number | undefined {
  const known = records.filter(({ cachedTokens }) => cachedTokens !== undefined)
  const total = sum(known, ({ promptTokens }) => promptTokens)
  return total === 0 ? undefined : sum(known, ({ cachedTokens }) => cachedTokens!) / total
}

function countErrors(records: readonly RequestRecord[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const { error } of records) if (error !== undefined) counts.set(error, (counts.get(error) ?? 0) + 1)
  return Object.fromEntries(counts)
}

function tenantFigures(records: readonly RequestRecord[]): TenantFigures[] {
  return [...byTenant(records)].map(([tenant, own]) => {
    const completed = own.filter(({ error }) => error === undefined)
    return {
      tenant,
      numMeasured: own.length,
      numFailed: own.length - completed.length,
      promptTokens: sum(completed, ({ promptTokens }) => promptTokens),
      outputTokens: sum(completed, ({ outputTokens }) => outputTokens),
      ttftMs: summarize(completed.map(({ firstTokenAt, intendedAt }) => firstTokenAt! - intendedAt)),
      e2eMs: summarize(completed.map(({ endedAt, intendedAt }) => endedAt - intendedAt)),
    }
  })
}

function sum(records: readonly RequestRecord[], of: (record: RequestRecord) => number): number {
  return sumOf(records.map(of))
}

function sumOf(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
