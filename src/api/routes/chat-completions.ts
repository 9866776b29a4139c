import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { answerChat } from '../chat.ts'
import { chatMessage, messageDelta } from '../chat-message.ts'
import { checkMessageCount } from '../chat-prompt.ts'
import { modelName, type ApiContext } from '../context.ts'
import { parseBody } from '../errors.ts'
import { chatLogprobs } from '../logprobs.ts'
import { openAiFormat, type ChoiceFormat } from '../openai-format.ts'
import { chatRequest } from '../schemas/chat.ts'

export function chatCompletions(app: FastifyInstance, context: ApiContext): void {
  app.post('/v1/chat/completions', async (request, reply) => {
    const arrivedAt = context.clock.now()
    checkMessageCount(context, request.body)
    const body = parseBody(chatRequest, request.body)
    const includeUsage = body.stream_options?.include_usage ?? false
    return answerChat(context, { request, reply, arrivedAt, body }, ({ numPromptTokens }) =>
      openAiFormat(chatFormat(context, body.logprobs === true), { numPromptTokens, includeUsage }),
    )
  })
}

function chatFormat(context: ApiContext, withLogprobs: boolean): ChoiceFormat {
  const base = {
    id: `chatcmpl-${randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model: modelName(context),
  }
  const logprobs = (details: Parameters<typeof chatLogprobs>[1]) =>
    withLogprobs ? chatLogprobs(context.tokenizer, details) : null
  return {
    envelope: { ...base, object: 'chat.completion' },
    chunkEnvelope: { ...base, object: 'chat.completion.chunk' },
    choice: (choice) => ({
      index: choice.index,
      message: chatMessage(choice),
      logprobs: logprobs(choice.details),
      finish_reason: choice.result?.reason ?? null,
    }),
    opening: (index) => ({
      index,
      delta: { role: 'assistant', content: '' },
      logprobs: null,
      finish_reason: null,
    }),
    delta: ({ index, events, details }) => {
      const delta = messageDelta({ events, details })
      return delta && { index, delta, logprobs: logprobs(details), finish_reason: null }
    },
    closing: (index, reason) => ({ index, delta: {}, logprobs: null, finish_reason: reason }),
  }
}
