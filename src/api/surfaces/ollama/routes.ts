import type { FastifyInstance, FastifyReply } from 'fastify'
import { answerChat, answerPrompt } from '../../chat.ts'
import { checkMessageCount } from '../../chat-prompt.ts'
import { checkModelName, type ApiContext } from '../../context.ts'
import { parseBody } from '../../errors.ts'
import type { ChatRequest } from '../../schemas/chat.ts'
import { ndjson, ollamaFormat } from './format.ts'
import { chatRequestOf, generateRequestOf } from './request.ts'
import { chatBody, generateBody } from './schema.ts'

export function ollamaGeneration(app: FastifyInstance, context: ApiContext): void {
  app.post('/api/chat', async (request, reply) => {
    const arrivedAt = context.clock.now()
    checkMessageCount(context, request.body)
    const given = parseBody(chatBody, request.body)
    const body = chatRequestOf(given)
    if (body.messages.length === 0) return loaded(context, reply, { given, body, kind: 'chat' })
    const format = ollamaFormat({ tokenizer: context.tokenizer, model: given.model, kind: 'chat' })
    return answerChat(context, { request, reply, arrivedAt, body }, () => format)
  })

  app.post('/api/generate', async (request, reply) => {
    const arrivedAt = context.clock.now()
    const given = parseBody(generateBody, request.body)
    const body = generateRequestOf(given)
    const prompt = given.prompt ?? ''
    if (prompt === '') return loaded(context, reply, { given, body, kind: 'generate' })
    const format = ollamaFormat({ tokenizer: context.tokenizer, model: given.model, kind: 'generate' })
    const exchange = { request, reply, arrivedAt, body }
    if (given.raw !== true) return answerChat(context, exchange, () => format)
    const promptOf = () => ({
      tokens: context.tokenizer.encode(prompt, { addSpecial: true, parseSpecial: true }),
    })
    return answerPrompt(context, exchange, promptOf, () => format)
  })
}

interface Loading {
  readonly given: { readonly model: string }
  readonly body: ChatRequest
  readonly kind: 'chat' | 'generate'
}

/** Who sends nothing to answer wants the model loaded, which it is. */
function loaded(context: ApiContext, reply: FastifyReply, { given, body, kind }: Loading): FastifyReply {
  checkModelName(context, body.model)
  const answer = {
    model: given.model,
    created_at: new Date().toISOString(),
    ...(kind === 'chat' ? { message: { role: 'assistant', content: '' } } : { response: '' }),
    done: true,
    done_reason: 'load',
  }
  if (body.stream !== true) return reply.send(answer)
  return reply.type(ndjson).send(`${JSON.stringify(answer)}\n`)
}
