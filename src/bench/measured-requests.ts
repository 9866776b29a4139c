/** The rule for warm-up and cool-down: which requests of a run its figures rest on. Pure. */
import type { RequestRecord } from './request-record.ts'

/** Share of the time over which requests are due that is left out at either end, where there are enough of them. */
export const warmUpShare = 0.1
export const coolDownShare = 0.05
const fewRequests = 40

/**
 * The requests that count, by when they were due. Every round warms up anew. Short rounds count whole: their figures
 * would rest on too little otherwise.
 */
export function selectMeasured(records: readonly RequestRecord[]): ReadonlySet<RequestRecord> {
  return new Set(roundsOf(records).flatMap(selectOfRound))
}

/** The records of each round. */
export function roundsOf(records: readonly RequestRecord[]): RequestRecord[][] {
  const rounds = new Map<number, RequestRecord[]>()
  for (const record of records) {
    const { round = 0 } = record
    const others = rounds.get(round)
    if (others === undefined) rounds.set(round, [record])
    else others.push(record)
  }
  return [...rounds.values()]
}

function selectOfRound(records: readonly RequestRecord[]): readonly RequestRecord[] {
  if (records.length < fewRequests) return records
  let first = Infinity
  let last = 0
  for (const { intendedAt } of records) {
    first = Math.min(first, intendedAt)
    last = Math.max(last, intendedAt)
  }
  const from = first + (last - first) * warmUpShare
  const to = last - (last - first) * coolDownShare
  // Where all come at once, there is no warm-up to leave out.
  return first === last ? records : records.filter(({ intendedAt }) => intendedAt >= from && intendedAt < to)
}
