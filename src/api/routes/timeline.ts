import type { FastifyInstance } from 'fastify'
import { ServingError } from '../../core/errors.ts'
import type { Micros } from '../../core/units.ts'
import type { ApiContext } from '../context.ts'
import type { ChoiceRecord, RequestRecord } from '../timeline-store.ts'

/** Where the time of one of the last requests went. A key sees the requests of its own tenant. */
export function timeline(app: FastifyInstance, context: ApiContext): void {
  app.get<{ Params: { id: string } }>('/v1/requests/:id/timeline', (request) => {
    const key = context.keys.find(request.headers)
    const record = context.timelines.find(request.params.id)
    if (record === undefined || (key?.name !== undefined && key.name !== record.tenant)) {
      const message = 'There is no such request, or it is too long ago. Its id is in the header x-request-id.'
      throw new ServingError('NOT_FOUND', message)
    }
    return Promise.resolve(toJson(record))
  })
}

const millis = (duration: number): number => duration / 1000

function toJson({ id, tenant, serviceClass, program, arrivedAt, choices }: RequestRecord) {
  return {
    id,
    object: 'request.timeline',
    tenant,
    service_tier: serviceClass,
    program: program ?? null,
    status: choices.every((choice) => choice !== undefined) ? 'finished' : 'unfinished',
    choices: choices.map((choice, index) =>
      choice === undefined ? { index, finish_reason: null } : { index, ...choiceJson(choice, arrivedAt) },
    ),
  }
}

/** Times in milliseconds; starts are since the request's arrival. */
function choiceJson(choice: ChoiceRecord, arrivedAt: Micros) {
  const { reason, numPromptTokens, numOutputTokens, timings } = choice
  return {
    finish_reason: reason,
    end_to_end_ms: millis(timings.finishedAt - arrivedAt),
    prompt_tokens: {
      total: numPromptTokens,
      cached: timings.numCachedTokens,
      computed: numPromptTokens - timings.numCachedTokens,
    },
    completion_tokens: numOutputTokens,
    preemptions: timings.numPreemptions,
    intervals: timings.intervals.map(({ kind, from, to, numSteps, numTokens, waitedFor }) => ({
      kind,
      start_ms: millis(from - arrivedAt),
      duration_ms: millis(to - from),
      ...(numSteps > 0 && { steps: numSteps, tokens: numTokens }),
      ...(Object.keys(waitedFor).length > 0 && { waited_for_ms: inMillis(waitedFor) }),
    })),
  }
}

function inMillis(micros: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(micros).map(([reason, value]) => [reason, millis(value)]))
}
