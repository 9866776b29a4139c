import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { encodePrompt } from '../../../text/chat-template.ts'
import { answerChat } from '../../chat.ts'
import { checkMessageCount, renderPrompt } from '../../chat-prompt.ts'
import { checkModelName, requireEngine, type ApiContext } from '../../context.ts'
import { parseBody } from '../../errors.ts'
import { anthropicFormat } from './format.ts'
import { chatRequestOf, promptRequestOf } from './request.ts'
import { countTokensBody, messagesBody } from './schema.ts'

export function anthropicMessages(app: FastifyInstance, context: ApiContext): void {
  app.post('/v1/messages', async (request, reply) => {
    const arrivedAt = context.clock.now()
    void reply.header('request-id', request.id)
    checkMessageCount(context, request.body)
    const given = parseBody(messagesBody, request.body)
    const body = chatRequestOf(given)
    return answerChat(context, { request, reply, arrivedAt, body }, ({ numPromptTokens }) =>
      anthropicFormat({
        id: `msg_${randomUUID().replaceAll('-', '')}`,
        requestId: request.id,
        model: given.model,
        numPromptTokens,
      }),
    )
  })

  app.post('/v1/messages/count_tokens', async (request) => {
    checkMessageCount(context, request.body)
    const body = promptRequestOf(parseBody(countTokensBody, request.body))
    checkModelName(context, body.model)
    await requireEngine(context)
    return { input_tokens: encodePrompt(context.tokenizer, renderPrompt(context, body)).length }
  })
}
