import { z } from 'zod'
import { chatBody, embedBody, embeddingsBody, generateBody, showBody } from '../surfaces/ollama/schema.ts'
import type { Operations } from './operation.ts'

const tag = 'Ollama'
const answerFields = { model: z.string(), created_at: z.string(), done: z.boolean() }
const models = z.looseObject({ models: z.array(z.looseObject({ name: z.string(), model: z.string() })) })

export const ollamaOperations: Operations = {
  'POST /api/chat': {
    tag,
    summary: 'Answer a conversation; streamed unless asked otherwise.',
    body: chatBody,
    answer: z.looseObject({
      ...answerFields,
      message: z.looseObject({ role: z.string(), content: z.string() }),
    }),
    streams: 'application/x-ndjson',
  },
  'POST /api/generate': {
    tag,
    summary: 'Answer a prompt; streamed unless asked otherwise.',
    body: generateBody,
    answer: z.looseObject({ ...answerFields, response: z.string() }),
    streams: 'application/x-ndjson',
  },
  'POST /api/embed': {
    tag,
    summary: 'Vectors of texts.',
    body: embedBody,
    answer: z.looseObject({ model: z.string(), embeddings: z.array(z.array(z.number())) }),
  },
  'POST /api/embeddings': {
    tag,
    summary: 'The vector of a text, as before /api/embed.',
    body: embeddingsBody,
    answer: z.looseObject({ embedding: z.array(z.number()) }),
  },
  'GET /api/tags': { tag, summary: 'The models.', answer: models },
  'GET /api/ps': { tag, summary: 'The models that are loaded.', answer: models },
  'POST /api/show': {
    tag,
    summary: 'What is known of a model.',
    body: showBody,
    answer: z.looseObject({
      capabilities: z.array(z.string()),
      model_info: z.record(z.string(), z.unknown()),
    }),
  },
  'GET /api/version': {
    tag,
    summary: "The version of Ollama's API.",
    answer: z.looseObject({ version: z.string() }),
  },
}
