import { z } from 'zod'
import { embeddingRequest } from '../routes/embeddings.ts'
import { rerankRequest, scoreRequest } from '../routes/rerank.ts'
import { batchListQuery, batchRequest, fileListQuery } from '../schemas/batches.ts'
import { chatRequest } from '../schemas/chat.ts'
import { completionRequest } from '../schemas/completions.ts'
import { inputItemsQuery } from '../surfaces/responses/routes.ts'
import { inputTokensBody, responsesBody } from '../surfaces/responses/schema.ts'
import type { Operations } from './operation.ts'

const count = z.number().int().nonnegative()
const seconds = z.number().int()

const usage = z.looseObject({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  prompt_tokens_details: z.looseObject({ cached_tokens: count }),
})

const finishReason = z.enum(['stop', 'length', 'tool_calls']).nullable()

const chatAnswer = z.looseObject({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: seconds,
  model: z.string(),
  choices: z.array(
    z.looseObject({
      index: count,
      message: z.looseObject({ role: z.literal('assistant'), content: z.string().nullable() }),
      finish_reason: finishReason,
    }),
  ),
  usage,
})

const completionAnswer = z.looseObject({
  id: z.string(),
  object: z.literal('text_completion'),
  created: seconds,
  model: z.string(),
  choices: z.array(z.looseObject({ index: count, text: z.string(), finish_reason: finishReason })),
  usage,
})

const model = z.looseObject({
  id: z.string(),
  object: z.literal('model'),
  created: seconds,
  owned_by: z.string(),
})

const listOfAll = <T extends z.ZodType>(entry: T) =>
  z.looseObject({ object: z.literal('list'), data: z.array(entry) })

const pageOf = <T extends z.ZodType>(entry: T) =>
  listOfAll(entry).extend({
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  })

const file = z.looseObject({
  id: z.string(),
  object: z.literal('file'),
  bytes: count,
  created_at: seconds,
  filename: z.string(),
  purpose: z.string(),
})

const batch = z.looseObject({
  id: z.string(),
  object: z.literal('batch'),
  endpoint: z.string(),
  status: z.enum([
    'validating',
    'failed',
    'in_progress',
    'finalizing',
    'completed',
    'expired',
    'cancelling',
    'cancelled',
  ]),
  input_file_id: z.string(),
  output_file_id: z.string().nullable(),
  error_file_id: z.string().nullable(),
  request_counts: z.object({ total: count, completed: count, failed: count }),
  created_at: seconds,
  expires_at: seconds,
  metadata: z.record(z.string(), z.string()),
})

const response = z.looseObject({
  id: z.string(),
  object: z.literal('response'),
  created_at: seconds,
  status: z.enum(['in_progress', 'completed', 'incomplete', 'failed']),
  model: z.string(),
  output: z.array(z.looseObject({ type: z.string() })),
})

const embeddingUsage = z.looseObject({ prompt_tokens: count, total_tokens: count })
const embeddings = listOfAll(
  z.looseObject({
    object: z.literal('embedding'),
    index: count,
    embedding: z.union([z.array(z.number()), z.string()]),
  }),
).extend({ model: z.string(), usage: embeddingUsage })

const ranking = z.looseObject({
  id: z.string(),
  model: z.string(),
  results: z.array(z.looseObject({ index: count, relevance_score: z.number() })),
  usage: embeddingUsage,
})
const rerank = {
  tag: 'OpenAI',
  summary: 'Order documents by how well they fit a query.',
  body: rerankRequest,
  answer: ranking,
}

const scores = listOfAll(z.looseObject({ object: z.literal('score'), index: count, score: z.number() }))
const score = {
  tag: 'OpenAI',
  summary: 'How well texts fit one another.',
  body: scoreRequest,
  answer: scores,
}

export const openaiOperations: Operations = {
  'POST /v1/chat/completions': {
    tag: 'OpenAI',
    summary: 'Answer a conversation.',
    body: chatRequest,
    answer: chatAnswer,
    streams: 'text/event-stream',
  },
  'POST /v1/completions': {
    tag: 'OpenAI',
    summary: 'Continue a text.',
    body: completionRequest,
    answer: completionAnswer,
    streams: 'text/event-stream',
  },
  'POST /v1/responses': {
    tag: 'OpenAI',
    summary: 'Answer a conversation that the server may keep.',
    body: responsesBody,
    answer: response,
    streams: 'text/event-stream',
  },
  'POST /v1/responses/input_tokens': {
    tag: 'OpenAI',
    summary: 'How many tokens the prompt of a response would have.',
    body: inputTokensBody,
    answer: z.looseObject({ object: z.literal('response.input_tokens'), input_tokens: count }),
  },
  'GET /v1/responses/:id': { tag: 'OpenAI', summary: 'A response that is kept.', answer: response },
  'DELETE /v1/responses/:id': {
    tag: 'OpenAI',
    summary: 'Forget a response.',
    answer: z.looseObject({ id: z.string(), object: z.literal('response'), deleted: z.literal(true) }),
  },
  'GET /v1/responses/:id/input_items': {
    tag: 'OpenAI',
    summary: 'What a response was the answer to.',
    query: inputItemsQuery,
    answer: pageOf(z.looseObject({ type: z.string() })),
  },
  'POST /v1/embeddings': {
    tag: 'OpenAI',
    summary: 'Vectors of texts.',
    body: embeddingRequest,
    answer: embeddings,
  },
  'POST /v1/rerank': rerank,
  'POST /rerank': rerank,
  'POST /v1/score': score,
  'POST /score': score,
  'GET /v1/models': { tag: 'OpenAI', summary: 'The names that are served.', answer: listOfAll(model) },
  'GET /v1/models/*': { tag: 'OpenAI', summary: 'One of them.', answer: model },
  'POST /v1/files': {
    tag: 'Files and batches',
    summary: 'Send a file, such as the input of a batch.',
    takesFile: true,
    answer: file,
  },
  'GET /v1/files': {
    tag: 'Files and batches',
    summary: 'The files, newest first unless asked otherwise.',
    query: fileListQuery,
    answer: pageOf(file),
  },
  'GET /v1/files/:id': { tag: 'Files and batches', summary: 'What is known of a file.', answer: file },
  'GET /v1/files/:id/content': {
    tag: 'Files and batches',
    summary: 'The file itself.',
    answer: 'application/octet-stream',
  },
  'DELETE /v1/files/:id': {
    tag: 'Files and batches',
    summary: 'Remove a file.',
    answer: z.looseObject({ id: z.string(), object: z.literal('file'), deleted: z.literal(true) }),
  },
  'POST /v1/batches': {
    tag: 'Files and batches',
    summary: 'Answer each request of a file when there is time.',
    body: batchRequest,
    answer: batch,
  },
  'GET /v1/batches': {
    tag: 'Files and batches',
    summary: 'The batches, newest first.',
    query: batchListQuery,
    answer: pageOf(batch),
  },
  'GET /v1/batches/:id': { tag: 'Files and batches', summary: 'How a batch gets on.', answer: batch },
  'POST /v1/batches/:id/cancel': {
    tag: 'Files and batches',
    summary: 'End a batch with what it has.',
    answer: batch,
  },
}
