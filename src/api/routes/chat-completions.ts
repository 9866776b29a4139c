import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { ServingError } from '../../core/errors.ts'
import { encodePrompt } from '../../text/chat-template.ts'
import { answer, type AnswerFormat } from '../answer.ts'
import { checkMessageCount, renderPrompt } from '../chat-prompt.ts'
import { checkModelName, modelName, requireEngine, type ApiContext } from '../context.ts'
import { parseBody } from '../errors.ts'
import { checkTokens, roomBehind } from '../generation.ts'
import { chatLogprobs } from '../logprobs.ts'
import { raceOf } from '../race.ts'
import { chatRequest, type ChatRequest } from '../schemas/chat.ts'
import { cacheTerms } from '../schemas/cache.ts'
import { samplingParams } from '../schemas/sampling.ts'
import { askerOf } from '../service-terms.ts'

export function chatCompletions(app: FastifyInstance, context: ApiContext): void {
  app.post('/v1/chat/completions', async (request, reply) => {
    const arrivedAt = context.clock.now()
    checkMessageCount(context, request.body)
    const body = parseBody(chatRequest, request.body)
    checkModelName(context, body.model)
    checkLimits(context, body)
    const asker = askerOf(context, request, body, arrivedAt)
    const info = await requireEngine(context)
    const promptTokens = encodePrompt(context.tokenizer, renderPrompt(context, body))
    const room = roomBehind(info, promptTokens, 'messages')
    checkTokens(info, body.logit_bias?.keys() ?? [], 'logit_bias')
    const topLogprobs = body.logprobs === true ? (body.top_logprobs ?? 0) : undefined
    const sampling = samplingParams(body, topLogprobs)
    const { race, picking } = raceOf(body, body.n ?? 1)
    const generations = Array.from({ length: body.n ?? 1 }, (_, index) => ({
      promptTokens,
      sampling: { ...sampling, seed: sampling.seed + index },
      maxTokens: Math.min(room, body.max_completion_tokens ?? body.max_tokens ?? room),
      askedTokens: body.max_completion_tokens ?? body.max_tokens,
      stop: body.stop ?? [],
      stopTokenIds: body.stop_token_ids ?? [],
      ignoreEos: body.ignore_eos ?? false,
      terms: asker.terms,
      race,
      cache: cacheTerms(body),
      arrivedAt,
      followsTool: body.messages.at(-1)?.role === 'tool',
    }))
    return answer(
      context,
      { request, reply },
      {
        asker,
        generations,
        numPromptTokens: promptTokens.length,
        stream: body.stream ?? false,
        picking,
        includeUsage: body.stream_options?.include_usage ?? false,
      },
      chatFormat(context, topLogprobs !== undefined),
    )
  })
}

function checkLimits({ config }: ApiContext, { n = 1, logprobs, top_logprobs: top = 0 }: ChatRequest): void {
  if (n > config.maxChoices) {
    const message = `n is ${n}; at most ${config.maxChoices} is accepted.`
    throw new ServingError('INVALID_REQUEST', message, { param: 'n' })
  }
  if (top > 0 && logprobs !== true) {
    const message = "'top_logprobs' needs 'logprobs' to be true."
    throw new ServingError('INVALID_REQUEST', message, { param: 'top_logprobs' })
  }
}

function chatFormat(context: ApiContext, withLogprobs: boolean): AnswerFormat {
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
    choice: ({ index, text, details, result }) => ({
      index,
      message: { role: 'assistant', content: text, refusal: null },
      logprobs: logprobs(details),
      finish_reason: result?.reason ?? null,
    }),
    opening: (index) => ({
      index,
      delta: { role: 'assistant', content: '' },
      logprobs: null,
      finish_reason: null,
    }),
    delta: ({ index, text, details }) => ({
      index,
      delta: { content: text },
      logprobs: logprobs(details),
      finish_reason: null,
    }),
    closing: (index, reason) => ({ index, delta: {}, logprobs: null, finish_reason: reason }),
  }
}
