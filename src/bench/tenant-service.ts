/** What each tenant got over time, and how evenly it was shared. Pure. */
import { competingRates, jainIndex, largestServiceGap, type ServiceSeries } from '../metrics/fairness.ts'
import type { Fairness } from './bench-report.ts'
import type { RequestRecord } from './request-record.ts'

/** What a token of service weighs: computing a prompt token 1, generating one 2, as virtual token counters have it. */
const promptWeight = 1
const outputWeight = 2
const numBins = 120

export function byTenant(records: readonly RequestRecord[]): Map<string, RequestRecord[]> {
  const tenants = new Map<string, RequestRecord[]>()
  for (const record of records) {
    const own = tenants.get(record.tenant)
    if (own === undefined) tenants.set(record.tenant, [record])
    else own.push(record)
  }
  return tenants
}

/** Over the whole run, warm-up and all: service is what accumulates. Undefined for a single tenant. */
export function fairnessOf(records: readonly RequestRecord[]): Fairness | undefined {
  const tenants = byTenant(records)
  if (tenants.size < 2) return undefined
  const endMs = records.reduce((latest, { endedAt }) => Math.max(latest, endedAt), 0)
  const binMs = Math.max(1, endMs / numBins)
  const series = [...tenants].map(([tenant, own]) => ({ tenant, ...serviceSeries(own, binMs) }))
  return {
    jain: jainIndex(competingRates(series)),
    largestServiceGap: largestServiceGap(series),
    service: {
      binSeconds: binMs / 1000,
      byTenant: Object.fromEntries(series.map(({ tenant, service }) => [tenant, service])),
    },
  }
}

/** A prompt counts when its first token comes, less what was cached; outputs count as they come. */
function serviceSeries(records: readonly RequestRecord[], binMs: number): ServiceSeries {
  const gained = new Float64Array(numBins)
  const binOf = (at: number): number => Math.min(numBins - 1, Math.floor(at / binMs))
  for (const { tokenTimes, promptTokens, cachedTokens = 0, outputTokens } of records) {
    const perEvent = (outputTokens / Math.max(1, tokenTimes.length)) * outputWeight
    if (tokenTimes[0] !== undefined)
      gained[binOf(tokenTimes[0])]! += promptWeight * (promptTokens - cachedTokens)
    for (const at of tokenTimes) gained[binOf(at)]! += perEvent
  }
  let total = 0
  return {
    service: Array.from(gained, (gain) => (total += gain)),
    isBacklogged: backloggedBins(records, binMs),
  }
}

/** Only bins that the tenant's requests fill: one that comes in the middle of a bin is not owed all of it. */
function backloggedBins(records: readonly RequestRecord[], binMs: number): boolean[] {
  const isBusy = Array.from({ length: numBins }, () => false)
  let from = 0
  let to = -1
  for (const { intendedAt, endedAt } of records.toSorted((a, b) => a.intendedAt - b.intendedAt)) {
    if (intendedAt > to) {
      from = intendedAt
      to = endedAt
    } else {
      to = Math.max(to, endedAt)
    }
    isBusy.fill(true, Math.ceil(from / binMs), Math.floor(to / binMs))
  }
  return isBusy
}
