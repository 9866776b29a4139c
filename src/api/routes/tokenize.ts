import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { ServingError } from '../../core/errors.ts'
import { encodePrompt } from '../../text/chat-template.ts'
import { checkMessageCount, renderPrompt } from '../chat-prompt.ts'
import { requireEngine, type ApiContext } from '../context.ts'
import { parseBody } from '../errors.ts'
import { chatRequest } from '../schemas/chat.ts'
import { optional } from '../schemas/sampling.ts'

/** vLLM's fields (`prompt`, `messages`, `tokens`) and llama-server's (`content`). */
export const tokenizeRequest = chatRequest.partial().extend({
  prompt: optional(z.string()),
  content: optional(z.string()),
  add_special_tokens: optional(z.boolean()),
  add_special: optional(z.boolean()),
})

export function tokenize(app: FastifyInstance, context: ApiContext): void {
  app.post('/tokenize', async (request) => {
    checkMessageCount(context, request.body)
    const body = parseBody(tokenizeRequest, request.body)
    const info = await requireEngine(context)
    const text = body.prompt ?? body.content
    const addSpecial = body.add_special_tokens ?? body.add_special ?? body.prompt !== undefined
    if (text === undefined && body.messages === undefined) {
      throw new ServingError('INVALID_REQUEST', "One of 'prompt', 'content' and 'messages' is needed.", {
        param: 'prompt',
      })
    }
    const tokens =
      text === undefined
        ? encodePrompt(context.tokenizer, renderPrompt(context, { ...body, messages: body.messages ?? [] }))
        : context.tokenizer.encode(text, { addSpecial, parseSpecial: true })
    return { tokens, count: tokens.length, max_model_len: info.maxModelLen }
  })
}
