/** What happened to a sequence, as the message says it. */
import type { GenerationRequest } from '../core/request.ts'
import type { Micros } from '../core/units.ts'
import type { TimelineInterval } from '../scheduler/timeline.ts'
import type { SequenceResult } from '../scheduler/finished-step.ts'
import type { SequenceError, SequenceTimings } from './engine-client.ts'
import type { SequenceUpdate } from './protocol.ts'
import type { StepSamples } from './sequence-samplers.ts'

/** `samples`: of the step that this came of; undefined when it came of none. */
export function toUpdate(
  result: SequenceResult,
  samples: StepSamples | undefined,
  now: Micros,
  /** When it ended with this. */
  intervals: readonly TimelineInterval[],
): SequenceUpdate {
  const { sequence, tokenId, finish } = result
  const { id } = sequence.request
  const vector = samples?.vectors.get(id)
  const tokenIds = tokenId === undefined || vector !== undefined ? [] : [tokenId]
  const logprobs = tokenId === undefined ? undefined : samples?.logprobs.get(id)
  const update = logprobs === undefined ? { id, tokenIds } : { id, tokenIds, logprobs: [logprobs] }
  if (finish === undefined) return update
  const failure = samples?.failures.get(id) ?? 'the engine lost the sequence'
  return {
    finish: {
      reason: vector === undefined ? finish : 'stop',
      ...(vector !== undefined && { vector }),
      error: finish === 'error' ? { code: 'INTERNAL', message: failure } : undefined,
      timings: {
        arrivedAt: sequence.request.arrivedAt,
        firstScheduledAt: sequence.firstScheduledAt,
        firstTokenAt: sequence.firstTokenAt,
        finishedAt: now,
        numCachedTokens: sequence.numCachedTokens,
        numPreemptions: sequence.numPreemptions,
        intervals,
      },
    },
    ...update,
  }
}

export function refusal(request: GenerationRequest, error: SequenceError, now: Micros): SequenceUpdate {
  const finish = { reason: 'error', error, timings: timingsWithoutRun(request, now) } as const
  return { id: request.id, tokenIds: [], finish }
}

/** Of a request that never got into a step. */
export function timingsWithoutRun({ arrivedAt }: GenerationRequest, now: Micros): SequenceTimings {
  return {
    arrivedAt,
    firstScheduledAt: undefined,
    firstTokenAt: undefined,
    finishedAt: now,
    numCachedTokens: 0,
    numPreemptions: 0,
    intervals: [{ kind: 'received', from: arrivedAt, to: now, numSteps: 0, numTokens: 0, waitedFor: {} }],
  }
}
