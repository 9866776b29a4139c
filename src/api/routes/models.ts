import type { FastifyInstance } from 'fastify'
import { ServingError } from '../../core/errors.ts'
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

  app.get('/v1/models', async () => ({
    object: 'list',
    data: await Promise.all(context.config.servedModelNames.map(describe)),
  }))

  app.get<{ Params: { '*': string } }>('/v1/models/*', (request) => {
    const name = request.params['*']
    checkModelName(context, name)
    if (name === '') throw new ServingError('NOT_FOUND', 'Name a model.')
    return describe(name)
  })
}
