import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { ServingError } from '../../../core/errors.ts'
import { encodePrompt } from '../../../text/chat-template.ts'
import { answerChat } from '../../chat.ts'
import { checkMessageCount, renderPrompt } from '../../chat-prompt.ts'
import { checkModelName, modelName, requireEngine, type ApiContext } from '../../context.ts'
import { parseBody } from '../../errors.ts'
import { responsesFormat } from './format.ts'
import { inputItems, newId } from './items.ts'
import { chatRequestOf, promptRequestOf, type History } from './request.ts'
import { ResponseStore, type StoredResponse } from './response-store.ts'
import { inputTokensBody, responsesBody, type InputTokensBody } from './schema.ts'

export function responses(app: FastifyInstance, context: ApiContext): void {
  const store = new ResponseStore(context.config.responseStoreBytes)
  addGeneration(app, context, store)
  addStored(app, context, store)
}

function addGeneration(app: FastifyInstance, context: ApiContext, store: ResponseStore): void {
  app.post('/v1/responses', async (request, reply) => {
    const arrivedAt = context.clock.now()
    checkMessageCount(context, request.body, 'input')
    const body = parseBody(responsesBody, request.body)
    requireInput(body)
    const tenant = tenantOf(context, request)
    const input = inputItems(body.input)
    const history: History = [...historyOf(store, body, tenant), ...input]
    const chat = chatRequestOf(body, history)
    return answerChat(context, { request, reply, arrivedAt, body: chat }, () =>
      responsesFormat({
        id: newId('resp'),
        createdAt: Math.floor(Date.now() / 1000),
        model: body.model ?? modelName(context),
        body,
        tokenizer: context.tokenizer,
        onFinished(response) {
          if (body.store === false) return
          store.add({ response, tenant, input, history: [...history, ...response.output] })
        },
      }),
    )
  })

  app.post('/v1/responses/input_tokens', async (request) => {
    checkMessageCount(context, request.body, 'input')
    const body = parseBody(inputTokensBody, request.body)
    requireInput(body)
    checkModelName(context, body.model)
    await requireEngine(context)
    const history = [...historyOf(store, body, tenantOf(context, request)), ...inputItems(body.input)]
    const prompt = renderPrompt(context, promptRequestOf(body, history))
    return { object: 'response.input_tokens', input_tokens: encodePrompt(context.tokenizer, prompt).length }
  })
}

export const inputItemsQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  order: z.enum(['asc', 'desc']).default('desc'),
  after: z.string().optional(),
})

/** Responses that are still remembered. */
function addStored(app: FastifyInstance, context: ApiContext, store: ResponseStore): void {
  app.get<{ Params: { id: string } }>('/v1/responses/:id', async (request) => {
    const { response } = find(store, request.params.id, tenantOf(context, request))
    return response
  })

  app.delete<{ Params: { id: string } }>('/v1/responses/:id', async (request) => {
    const { id } = request.params
    if (!store.delete(id, tenantOf(context, request))) throw unknown(id)
    return { id, object: 'response', deleted: true }
  })

  app.get<{ Params: { id: string } }>('/v1/responses/:id/input_items', async (request) => {
    const { limit, order, after } = parseBody(inputItemsQuery, request.query)
    const { input } = find(store, request.params.id, tenantOf(context, request))
    const ordered = order === 'asc' ? input : input.toReversed()
    const start = after === undefined ? 0 : ordered.findIndex(({ id }) => id === after) + 1
    const data = ordered.slice(start, start + limit)
    return {
      object: 'list',
      data,
      first_id: data[0]?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
      has_more: start + limit < ordered.length,
    }
  })
}

/** @throws {ServingError} INVALID_REQUEST when there is nothing to answer. */
function requireInput({ input, instructions, previous_response_id: previous }: InputTokensBody): void {
  if (input !== undefined && input.length > 0) return
  if (input === undefined && (instructions !== undefined || previous !== undefined)) return
  throw new ServingError('INVALID_REQUEST', "'input' is needed.", { param: 'input' })
}

function historyOf(store: ResponseStore, body: InputTokensBody, tenant: string | undefined): History {
  const { previous_response_id: previous } = body
  return previous === undefined ? [] : find(store, previous, tenant, 'previous_response_id').history
}

/** The name of the key: what others merely say about themselves opens nothing, and hides nothing. */
function tenantOf({ keys }: ApiContext, { headers }: FastifyRequest): string | undefined {
  return keys.find(headers)?.name
}

/** @throws {ServingError} NOT_FOUND */
function find(store: ResponseStore, id: string, tenant: string | undefined, param?: string): StoredResponse {
  const stored = store.find(id, tenant)
  if (stored === undefined) throw unknown(id, param)
  return stored
}

function unknown(id: string, param?: string): ServingError {
  const message = `There is no response '${id.slice(0, 128)}': it was not stored, was deleted, or is too long ago.`
  return new ServingError('NOT_FOUND', message, param === undefined ? {} : { param })
}
