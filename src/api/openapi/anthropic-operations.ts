import { z } from 'zod'
import { countTokensBody, messagesBody } from '../surfaces/anthropic/schema.ts'
import type { Operations } from './operation.ts'

const count = z.number().int().nonnegative()

export const anthropicOperations: Operations = {
  'POST /v1/messages': {
    tag: 'Anthropic',
    summary: 'Answer a conversation.',
    body: messagesBody,
    answer: z.looseObject({
      id: z.string(),
      type: z.literal('message'),
      role: z.literal('assistant'),
      content: z.array(z.looseObject({ type: z.string() })),
      stop_reason: z.string().nullable(),
      usage: z.looseObject({ input_tokens: count, output_tokens: count }),
    }),
    streams: 'text/event-stream',
  },
  'POST /v1/messages/count_tokens': {
    tag: 'Anthropic',
    summary: 'How many tokens the prompt of a message would have.',
    body: countTokensBody,
    answer: z.looseObject({ input_tokens: count }),
  },
}
