import { z } from 'zod'
import { detokenizeRequest } from '../routes/detokenize.ts'
import { tokenizeRequest } from '../routes/tokenize.ts'
import type { Operations } from './operation.ts'

const count = z.number().int().nonnegative()
const tag = 'Server'

export const serverOperations: Operations = {
  'POST /tokenize': {
    tag,
    summary: 'The tokens of a text or a conversation.',
    body: tokenizeRequest,
    answer: z.looseObject({ tokens: z.array(count), count, max_model_len: count }),
  },
  'POST /detokenize': {
    tag,
    summary: 'The text of tokens.',
    body: detokenizeRequest,
    answer: z.looseObject({ prompt: z.string(), content: z.string() }),
  },
  'GET /v1/requests/:id/timeline': {
    tag,
    summary: 'Where the time of one of the last requests went; its id is in the header x-request-id.',
    answer: z.looseObject({
      id: z.string(),
      object: z.literal('request.timeline'),
      choices: z.array(z.looseObject({})),
    }),
  },
  'GET /debug/kv': {
    tag,
    summary: 'What the KV cache holds and what became of it.',
    answer: z.looseObject({ pool: z.looseObject({ block_size: count, num_blocks: count }) }),
  },
  'GET /metrics': { tag, summary: 'Metrics in the form of Prometheus.', answer: 'text/plain' },
  'GET /health': {
    tag,
    summary: '200 when requests make sense, 503 while it loads or shuts down.',
    answer: z.looseObject({ status: z.string() }),
    isOpen: true,
  },
  'GET /version': {
    tag,
    summary: 'Name and version of this server.',
    answer: z.looseObject({ server: z.string(), version: z.string() }),
    isOpen: true,
  },
  'GET /openapi.json': {
    tag,
    summary: 'This description, for programs.',
    answer: z.looseObject({ openapi: z.string() }),
    isOpen: true,
  },
  'GET /docs': { tag, summary: 'This description, for people.', answer: 'text/html', isOpen: true },
  'GET /': { tag, summary: 'Leads browsers to /docs.', answer: 'text/html', isOpen: true },
}
