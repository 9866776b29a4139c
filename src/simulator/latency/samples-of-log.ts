/** Measured steps from a recording of plans: from the beginning of one step to that of the next one. */
import type { Micros } from '../../core/units.ts'
import { ServingError } from '../../core/errors.ts'
import type { PlanLogHeader, PlanLogLine } from '../replay/plan-log.ts'
import { PlanReplay } from '../replay/replay-plans.ts'
import { shapeOf, type StepShape } from './latency-model.ts'
import type { StepSample } from './measured.ts'

/** When an engine had the first thing to do with a request, and when its first token was sampled. */
export interface FirstToken {
  readonly plannedAt: Micros
  readonly sampledAt: Micros
}

export interface LogMeasurements {
  readonly samples: readonly StepSample[]
  /** In the order in which requests came; undefined for one that never got a token. */
  readonly firstTokens: readonly (FirstToken | undefined)[]
}

/** The first steps of a process: kernels load, code compiles. */
const numWarmUp = 20

/** @throws {ServingError} INVALID_CONFIG where the lines are no recording, or plans cannot be made again. */
export function measurementsOf(header: PlanLogHeader, lines: Iterable<PlanLogLine>): LogMeasurements {
  const replay = new PlanReplay(header)
  const samples: StepSample[] = []
  const order: string[] = []
  const planned = new Map<string, Micros>()
  const sampled = new Map<string, Micros>()
  let begun: { readonly shape: StepShape; readonly at: Micros } | undefined
  let starting: readonly string[] = []
  for (const line of lines) {
    if ('add' in line) order.push(line.add.id)
    if ('end' in line) for (const id of starting) sampled.set(id, line.at)
    const result = replay.apply(line)
    if (result === undefined || !('plan' in line)) continue
    if (result.recorded !== result.replayed)
      throw new ServingError('INVALID_CONFIG', `line ${result.line}: another scheduler has planned this`)
    if (begun !== undefined) samples.push({ shape: begun.shape, micros: line.at - begun.at })
    const { plan } = result
    begun = plan && { shape: shapeOf(plan), at: line.at }
    starting = []
    for (const { requestId } of plan?.entries ?? [])
      if (!planned.has(requestId)) planned.set(requestId, line.at)
    starting =
      plan?.entries.flatMap(({ requestId, samples: isLast }) =>
        isLast && !sampled.has(requestId) ? requestId : [],
      ) ?? []
  }
  return {
    samples: samples.slice(numWarmUp).filter(({ micros }) => micros > 0),
    firstTokens: order.map((id) => {
      const [plannedAt, sampledAt] = [planned.get(id), sampled.get(id)]
      return plannedAt === undefined || sampledAt === undefined ? undefined : { plannedAt, sampledAt }
    }),
  }
}
