/** From the records of a run to the figures of its report. Pure. */
import { jainIndex, largestServiceGap, type ServiceSeries } from '../metrics/fairness.ts'
import { percentile, summarize } from '../metrics/summary.ts'
import type { Fairness, Goals, TargetFigures, TenantFigures } from './bench-report.ts'
import type { RequestRecord } from './request-record.ts'

/** What a token of service weighs: computing a prompt token 1, generating one 2, as virtual token counters have it. */
const promptWeight = 1
const outputWeight = 2
const numServiceBins = 120

/** The part of a run that counts: requests that were due in [from, to), in ms from its start. */
export interface Window {
  readonly fromMs: number
  readonly toMs: number
}

/** Share of the time over which requests are due that is left out at either end, where there are enough of them. */
const warmUpShare = 0.1
const coolDownShare = 0.05
const fewRequests = 40

/** The rule for warm-up and cool-down. Short runs count whole: their figures would rest on too little otherwise. */
export function measuredWindow(records: readonly RequestRecord[]): Window {
  const due = records.map(({ intendedAt }) => intendedAt)
  const last = due.reduce((latest, at) => Math.max(latest, at), 0)
  if (records.length < fewRequests) return { fromMs: 0, toMs: Infinity }
  return { fromMs: last * warmUpShare, toMs: last * (1 - coolDownShare) }
}

export function isMeasured({ intendedAt }: RequestRecord, window: Window): boolean {
  return intendedAt >= window.fromMs && intendedAt < window.toMs
}

/** `window` undefined: as `measuredWindow` has it. */
export function figuresOf(
  records: readonly RequestRecord[],
  goals: Goals,
  window = measuredWindow(records),
): TargetFigures {
  const measured = records.filter((record) => isMeasured(record, window))
  const completed = measured.filter(({ error }) => error === undefined)
  const durationSeconds = spanOf(measured) / 1000
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
    tbtMs: summarize(completed.flatMap(gapsOf)),
    tpotMs: summarize(completed.flatMap(timePerToken)),
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
  const completed = records.filter(({ error }) => error === undefined)
  const counts = {
    promptTokens: completed.filter(({ promptTokens, wanted }) => promptTokens !== wanted.promptTokens).length,
    outputTokens: completed.filter(({ outputTokens, wanted }) => outputTokens !== wanted.outputTokens).length,
    cachedTokens: completed.filter(
      ({ cachedTokens, index }) => expectedCached !== undefined && cachedTokens !== expectedCached[index],
    ).length,
  }
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0))
}

function gapsOf({ tokenTimes }: RequestRecord): number[] {
  return tokenTimes.slice(1).map((at, index) => at - tokenTimes[index]!)
}

function timePerToken({ tokenTimes, outputTokens }: RequestRecord): number[] {
  if (outputTokens < 2 || tokenTimes.length < 2) return []
  return [(tokenTimes.at(-1)! - tokenTimes[0]!) / (outputTokens - 1)]
}

/** From the first request's due time to the last one's end. */
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

function byTenant(records: readonly RequestRecord[]): Map<string, RequestRecord[]> {
  const tenants = new Map<string, RequestRecord[]>()
  for (const record of records) {
    const own = tenants.get(record.tenant)
    if (own === undefined) tenants.set(record.tenant, [record])
    else own.push(record)
  }
  return tenants
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

/** Over the whole run, warm-up and all: service is what accumulates. Undefined for a single tenant. */
function fairnessOf(records: readonly RequestRecord[]): Fairness | undefined {
  const tenants = byTenant(records)
  if (tenants.size < 2) return undefined
  const endMs = records.reduce((latest, { endedAt }) => Math.max(latest, endedAt), 0)
  const binMs = Math.max(1, endMs / numServiceBins)
  const series = [...tenants].map(([tenant, own]) => ({ tenant, ...serviceSeries(own, binMs) }))
  return {
    jain: jainIndex(series.map(({ service }) => service.at(-1)!)),
    largestServiceGap: largestServiceGap(series),
    service: {
      binSeconds: binMs / 1000,
      byTenant: Object.fromEntries(series.map(({ tenant, service }) => [tenant, service])),
    },
  }
}

/** A prompt counts when its first token comes, less what was cached; outputs count as they come. */
function serviceSeries(records: readonly RequestRecord[], binMs: number): ServiceSeries {
  const gained = new Float64Array(numServiceBins)
  const isBusy = new Uint8Array(numServiceBins)
  const binOf = (at: number): number => Math.min(numServiceBins - 1, Math.floor(at / binMs))
  for (const record of records) {
    const { tokenTimes, promptTokens, cachedTokens = 0, outputTokens, intendedAt, endedAt } = record
    const perEvent = (outputTokens / Math.max(1, tokenTimes.length)) * outputWeight
    if (tokenTimes[0] !== undefined)
      gained[binOf(tokenTimes[0])]! += promptWeight * (promptTokens - cachedTokens)
    for (const at of tokenTimes) gained[binOf(at)]! += perEvent
    // Only bins that the request fills: a tenant that comes in the middle of one is not owed all of it.
    isBusy.fill(1, Math.ceil(intendedAt / binMs), Math.floor(endedAt / binMs))
  }
  let total = 0
  return {
    service: Array.from(gained, (gain) => (total += gain)),
    isBacklogged: Array.from(isBusy, (busy) => busy === 1),
  }
}

function sum(records: readonly RequestRecord[], of: (record: RequestRecord) => number): number {
  return records.reduce((total, record) => total + of(record), 0)
}
