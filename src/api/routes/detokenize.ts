import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { parseBody } from '../errors.ts'
import { checkTokens } from '../generation.ts'
import { listOf } from '../schemas/sampling.ts'

export const detokenizeRequest = z.object({ tokens: listOf(z.number().int().nonnegative()) })

export function detokenize(app: FastifyInstance, context: ApiContext): void {
  app.post('/detokenize', (request) => {
    const { tokens } = parseBody(detokenizeRequest, request.body)
    checkTokens(context.tokenizer, tokens, 'tokens')
    const text = context.tokenizer.decode(tokens, true)
    return Promise.resolve({ prompt: text, content: text })
  })
}
