import { greedySampling, type SamplingParams } from '../../src/core/sampling-params.ts'
import { toRequestId } from '../../src/core/units.ts'
import { plainTerms, type GenerationRequest } from '../../src/core/request.ts'
import type { EngineClient, SequenceEvent } from '../../src/engine/engine-client.ts'
import { systemClock } from '../../src/engine/system-clock.ts'

export interface Generated {
  readonly tokens: number[]
  readonly finish: Extract<SequenceEvent, { kind: 'finished' }>
}

export type RequestFields = Partial<Omit<GenerationRequest, 'sampling' | 'id'>> & {
  readonly id: string
  readonly promptTokens: readonly number[]
  readonly sampling?: Partial<SamplingParams>
}

export function createRequest({ id, sampling, ...fields }: RequestFields): GenerationRequest {
  return {
    ...plainTerms,
    id: toRequestId(id),
    outputTokens: [],
    sampling: { ...greedySampling, ...sampling },
    maxTokens: 16,
    stopTokenIds: [],
    ignoreEos: false,
    tenant: 'test',
    arrivedAt: systemClock.now(),
    ...fields,
  }
}

/** Runs one request to its end. `onToken` sees the number of tokens so far. */
export function generate(
  engine: EngineClient,
  fields: RequestFields,
  onToken: (count: number) => void = () => undefined,
): Promise<Generated> {
  return new Promise((resolve) => {
    const tokens: number[] = []
    engine.submit(createRequest(fields), (event) => {
      if (event.kind === 'finished') resolve({ tokens, finish: event })
      else {
        tokens.push(...event.tokenIds)
        onToken(tokens.length)
      }
    })
  })
}
