/** What transformations have in common: the step in `provenance`, and arrivals that follow from gaps. */
import { micros, type Micros } from '../../core/units.ts'
import { canIncludeAnswer, turnKey } from '../check-workload.ts'
import type { Provenance, Workload, WorkloadRequest } from '../workload.ts'

/** The workload with other requests, in order of arrival, and one step more in its history. */
export function derive(
  workload: Workload,
  action: string,
  parameters: Provenance['parameters'],
  requests: readonly WorkloadRequest[],
): Workload {
  return {
    ...workload,
    requests: byArrival(requests),
    provenance: [...workload.provenance, { action, parameters }],
  }
}

/** Sorted by arrival; equal ones, and with them the turns of a program, stay in order. */
export function byArrival(requests: readonly WorkloadRequest[]): readonly WorkloadRequest[] {
  return requests.toSorted((a, b) => a.arrival - b.arrival)
}

/**
 * Calls `change` with each request and the changed turn before it. Undefined leaves the request out, and with it the
 * later turns of its program and the sub-agents that come after them.
 */
export function mapTurns(
  requests: readonly WorkloadRequest[],
  change: (request: WorkloadRequest, previous: WorkloadRequest | undefined) => WorkloadRequest | undefined,
): WorkloadRequest[] {
  const last = new Map<string, WorkloadRequest | undefined>()
  return requests.flatMap((request) => {
    const { program, turn, after } = request
    const previous = program === undefined ? undefined : last.get(program)
    const parent = after === undefined ? undefined : last.get(after.program)
    const isOrphan =
      (turn > 0 && previous === undefined) || (after !== undefined && (parent?.turn ?? -1) < after.turn)
    const changed = isOrphan ? undefined : change(request, previous)
    const isBroken = turn > 0 && previous !== undefined && previous.turn < turn - 1
    if (changed === undefined || isBroken) return []
    if (program !== undefined) last.set(program, changed)
    return [changed]
  })
}

/** The requests with new arrivals: `startOf` says when what follows nothing comes, the rest comes from gaps. */
export function retime(
  requests: readonly WorkloadRequest[],
  startOf: (request: WorkloadRequest) => Micros,
): WorkloadRequest[] {
  const parents = new Set(requests.flatMap(({ after }) => (after === undefined ? [] : [turnKey(after)])))
  const arrivals = new Map<string, Micros>()
  return mapTurns(requests, (request, previous) => {
    const { program, turn, after } = request
    const base = previous?.arrival ?? (after === undefined ? undefined : arrivals.get(turnKey(after)))
    const arrival = base === undefined ? startOf(request) : micros(base + request.gap)
    if (program !== undefined) {
      const key = turnKey({ program, turn })
      if (parents.has(key)) arrivals.set(key, arrival)
    }
    return { ...request, arrival }
  })
}

/**
 * After lengths or blocks have changed: an answer that the next turn includes loses the tokens that the next prompt
 * has no room for, and where not even one fits, the next turn no longer says that it includes it.
 */
export function settleAnswers(requests: readonly WorkloadRequest[]): WorkloadRequest[] {
  const settled = [...requests]
  const last = new Map<string, number>()
  for (const [index, request] of requests.entries()) {
    if (request.program === undefined) continue
    const before = last.get(request.program)
    last.set(request.program, index)
    if (request.includesAnswer !== true) continue
    const previous = before === undefined ? undefined : settled[before]!
    const room = request.numPromptTokens - (previous?.numPromptTokens ?? Infinity) - 1
    const shorter = previous && { ...previous, numOutputTokens: Math.min(previous.numOutputTokens, room) }
    if (shorter !== undefined && room >= 1 && canIncludeAnswer(request, shorter)) settled[before!] = shorter
    else settled[index] = { ...request, includesAnswer: false }
  }
  return settled
}
