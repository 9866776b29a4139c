/** What the server says about itself: models, health, version, metrics. */
import type { FastifyInstance } from 'fastify'
import { ServingError } from '../../core/errors.ts'
import { checkModelName, type ApiContext } from '../context.ts'

export function status(app: FastifyInstance, context: ApiContext): void {
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

  app.get('/health', (_request, reply) => {
    const { status: engine } = context.engine
    if (engine.state === 'ready' && !context.isDraining) return reply.send({ status: 'ok' })
    const state = context.isDraining ? 'draining' : engine.state
    const progress = 'progress' in engine ? { progress: engine.progress } : {}
    return reply.code(503).send({ status: state, ...progress })
  })

  app.get('/version', () => Promise.resolve({ server: 'switchyard', version: context.version }))

  app.get('/metrics', async (_request, reply) => {
    const { registry } = context.metrics
    return reply.header('content-type', registry.contentType).send(await registry.metrics())
  })
}
