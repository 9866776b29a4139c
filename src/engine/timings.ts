import type { Clock } from '../core/clock.ts'
import type { GenerationRequest } from '../core/request.ts'
import type { SequenceTimings } from './engine-client.ts'

/** What can be said of a request whose engine is gone. */
export function timingsAtFailure(request: GenerationRequest, clock: Clock): SequenceTimings {
  return {
    arrivedAt: request.arrivedAt,
    firstScheduledAt: undefined,
    firstTokenAt: undefined,
    finishedAt: clock.now(),
    numCachedTokens: 0,
    numPreemptions: 0,
  }
}
