import type { FastifyInstance } from 'fastify'
import type { ApiContext } from '../../context.ts'
import { answerEmbeddings, poolingOf } from '../../embeddings.ts'
import { parseBody } from '../../errors.ts'
import { checkDimensions, shortened } from '../../routes/embeddings.ts'
import { embedBody, embeddingsBody } from './schema.ts'

export function ollamaEmbeddings(app: FastifyInstance, context: ApiContext): void {
  app.post('/api/embed', async (request, reply) => {
    const arrivedAt = context.clock.now()
    const body = parseBody(embedBody, request.body)
    const { model, dimensions, truncate = true } = body
    checkDimensions(context, dimensions)
    const inputs = typeof body.input === 'string' ? [body.input] : body.input
    const exchange = { request, reply, arrivedAt, ...shared(context, model), inputs, param: 'input' }
    return answerEmbeddings(
      context,
      { ...exchange, truncates: truncate },
      ({ vectors, numTokens, results }) => {
        const finishedAt = Math.max(...results.map(({ timings }) => timings.finishedAt))
        return {
          model,
          embeddings: vectors.map((vector) => [...shortened(vector, dimensions)]),
          total_duration: (finishedAt - arrivedAt) * 1000,
          load_duration: 0,
          prompt_eval_count: numTokens,
        }
      },
    )
  })

  app.post('/api/embeddings', async (request, reply) => {
    const arrivedAt = context.clock.now()
    const { model, prompt } = parseBody(embeddingsBody, request.body)
    const exchange = {
      request,
      reply,
      arrivedAt,
      ...shared(context, model),
      inputs: [prompt],
      param: 'prompt',
    }
    return answerEmbeddings(context, { ...exchange, truncates: true }, ({ vectors: [vector] }) => ({
      embedding: [...(vector ?? [])],
    }))
  })
}

function shared(context: ApiContext, model: string) {
  return { model: model.replace(/:latest$/, ''), terms: {}, pooling: poolingOf(context) }
}
