/**
 * How well texts fit one another, by the cosine of their vectors, as vLLM scores with embedding models. The forms are
 * Jina's and Cohere's (`/v1/rerank`) and vLLM's (`/v1/score`).
 */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { ServingError } from '../../core/errors.ts'
import type { Pooling } from '../../core/request.ts'
import { modelName, type ApiContext } from '../context.ts'
import { answerEmbeddings, cosine, knownPooling } from '../embeddings.ts'
import { parseBody } from '../errors.ts'
import { listOf, optional } from '../schemas/sampling.ts'
import { termFields } from '../schemas/terms.ts'

const document = z.union(
  [z.string(), z.object({ text: z.string() }).transform(({ text }) => text)],
  'expected a string or {text}',
)

export const rerankRequest = z.object({
  ...termFields,
  model: optional(z.string()),
  query: z.string(),
  documents: listOf(document, { min: 1 }),
  top_n: optional(z.number().int().min(1)),
  return_documents: optional(z.boolean()),
})

const texts = z.union(
  [z.string().transform((text) => [text]), listOf(z.string(), { min: 1 })],
  'expected a string or a list of strings',
)

export const scoreRequest = z.object({
  ...termFields,
  model: optional(z.string()),
  text_1: texts,
  text_2: texts,
})

export function rerank(app: FastifyInstance, context: ApiContext): void {
  for (const path of ['/v1/rerank', '/rerank']) {
    app.post(path, async (request, reply) => {
      const arrivedAt = context.clock.now()
      const body = parseBody(rerankRequest, request.body)
      const { model, query, documents, top_n: topN = documents.length, return_documents: shows } = body
      const inputs = [query, ...documents]
      const pooling = requirePooling(context)
      const exchange = { request, reply, arrivedAt, model, terms: body, inputs, param: 'documents', pooling }
      return answerEmbeddings(context, exchange, ({ vectors: [asked, ...found], numTokens }) => ({
        id: `rerank-${randomUUID()}`,
        model: modelName(context),
        usage: { prompt_tokens: numTokens, total_tokens: numTokens },
        results: found
          .map((vector, index) => ({ index, relevance_score: cosine(asked!, vector) }))
          .toSorted((a, b) => b.relevance_score - a.relevance_score || a.index - b.index)
          .slice(0, topN)
          .map((result) =>
            shows === true ? { ...result, document: { text: documents[result.index] } } : result,
          ),
      }))
    })
  }

  for (const path of ['/v1/score', '/score']) {
    app.post(path, async (request, reply) => {
      const arrivedAt = context.clock.now()
      const body = parseBody(scoreRequest, request.body)
      const { model, text_1: first, text_2: second } = body
      if (first.length !== 1 && first.length !== second.length) {
        const message = `${first.length} texts cannot be paired with ${second.length}: give one, or as many.`
        throw new ServingError('INVALID_REQUEST', message, { param: 'text_1' })
      }
      const inputs = [...first, ...second]
      const pooling = requirePooling(context)
      const exchange = { request, reply, arrivedAt, model, terms: body, inputs, param: 'text_2', pooling }
      return answerEmbeddings(context, exchange, ({ vectors, numTokens }) => ({
        id: `score-${randomUUID()}`,
        object: 'list',
        created: Math.floor(Date.now() / 1000),
        model: modelName(context),
        data: second.map((_, index) => ({
          index,
          object: 'score',
          score: cosine(vectors[first.length === 1 ? 0 : index]!, vectors[first.length + index]!),
        })),
        usage: { prompt_tokens: numTokens, total_tokens: numTokens },
      }))
    })
  }
}

function requirePooling(context: ApiContext): Pooling {
  const pooling = knownPooling(context)
  if (pooling !== undefined) return pooling
  const message =
    'This model was not made to compare texts: its file names no pooling. --pooling lets it try all the same.'
  throw new ServingError('INVALID_REQUEST', message, { param: 'model' })
}
