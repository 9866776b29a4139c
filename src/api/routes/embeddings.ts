import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { ServingError } from '../../core/errors.ts'
import { modelName, type ApiContext } from '../context.ts'
import { answerEmbeddings, normalised, poolingOf } from '../embeddings.ts'
import { parseBody } from '../errors.ts'
import { listOf, optional } from '../schemas/sampling.ts'
import { termFields } from '../schemas/terms.ts'

const tokenIds = listOf(z.number().int().nonnegative(), { min: 1 })

export const embeddingRequest = z.object({
  ...termFields,
  model: optional(z.string()),
  input: z.union(
    [z.string(), tokenIds, listOf(z.string(), { min: 1 }), listOf(tokenIds, { min: 1 })],
    'expected a string, token ids, or a list of either',
  ),
  encoding_format: optional(z.enum(['float', 'base64'])),
  dimensions: optional(z.number().int().min(1)),
})

export function embeddings(app: FastifyInstance, context: ApiContext): void {
  app.post('/v1/embeddings', async (request, reply) => {
    const arrivedAt = context.clock.now()
    const body = parseBody(embeddingRequest, request.body)
    const { model, encoding_format: encoding, dimensions } = body
    checkDimensions(context, dimensions)
    const exchange = {
      request,
      reply,
      arrivedAt,
      model,
      terms: body,
      inputs: inputsOf(body.input),
      param: 'input',
      pooling: poolingOf(context),
    }
    return answerEmbeddings(context, exchange, ({ vectors, numTokens }) => ({
      object: 'list',
      data: vectors.map((vector, index) => {
        const cut = shortened(vector, dimensions)
        return { object: 'embedding', index, embedding: encoding === 'base64' ? base64(cut) : [...cut] }
      }),
      model: modelName(context),
      usage: { prompt_tokens: numTokens, total_tokens: numTokens },
    }))
  })
}

/** @throws {ServingError} INVALID_REQUEST for more dimensions than the model has. */
export function checkDimensions({ card }: ApiContext, dimensions: number | undefined): void {
  const most = card?.embeddingLength ?? Infinity
  if (dimensions === undefined || dimensions <= most) return
  const message = `${dimensions} dimensions were asked for; this model has ${most}.`
  throw new ServingError('INVALID_REQUEST', message, { param: 'dimensions' })
}

/** The first so many elements, at length 1 again: what models trained for that (Matryoshka) mean by fewer dimensions. */
export function shortened(vector: Float32Array, dimensions: number | undefined): Float32Array {
  return dimensions === undefined ? vector : normalised(vector.slice(0, dimensions))
}

/** Token ids are one text; a list is several. */
function inputsOf(input: z.infer<typeof embeddingRequest>['input']): readonly (string | readonly number[])[] {
  if (typeof input === 'string') return [input]
  return typeof input[0] === 'number' ? [input as number[]] : (input as readonly (string | number[])[])
}

/** Floats of four bytes, the low one first. */
function base64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
}
