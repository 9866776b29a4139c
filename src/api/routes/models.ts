import type { FastifyInstance } from 'fastify'
import { ServingError } from '../../core/errors.ts'
import { isAnthropic } from '../errors.ts'
import { checkModelName, type ApiContext } from '../context.ts'

export function models(app: FastifyInstance, context: ApiContext): void {
  const describe = async (id: string) => ({
    id,
    object: 'model',
    created: context.startedAt,
    owned_by: 'switchyard',
    ...(context.engine.status.state === 'ready'
      ? { max_model_len: (await context.engine.ready()).maxModelLen }
      : {}),
  })

  app.get('/v1/models', async (request) => {
    const names = context.config.servedModelNames
    if (isAnthropic(request)) {
      const data = names.map((name) => anthropicModel(context, name))
      return { data, has_more: false, first_id: names[0] ?? null, last_id: names.at(-1) ?? null }
    }
    return { object: 'list', data: await Promise.all(names.map(describe)) }
  })

  app.get<{ Params: { '*': string } }>('/v1/models/*', async (request) => {
    const name = request.params['*']
    checkModelName(context, name)
    if (name === '') throw new ServingError('NOT_FOUND', 'Name a model.')
    return isAnthropic(request) ? anthropicModel(context, name) : describe(name)
  })
}

/** The path is OpenAI's and Anthropic's alike; a header tells whose client asks. */
function anthropicModel({ startedAt }: ApiContext, id: string) {
  return { type: 'model', id, display_name: id, created_at: new Date(startedAt * 1000).toISOString() }
}
