import type { FastifyInstance } from 'fastify'
import type { ApiContext } from '../context.ts'

/** For load balancers: 503 while it is of no use to send requests, with the progress of loading. */
export function health(app: FastifyInstance, context: ApiContext): void {
  app.get('/health', (_request, reply) => {
    const { status: engine } = context.engine
    if (engine.state === 'ready' && !context.isDraining) return reply.send({ status: 'ok' })
    const state = context.isDraining ? 'draining' : engine.state
    const progress = 'progress' in engine ? { progress: engine.progress } : {}
    return reply.code(503).send({ status: state, ...progress })
  })
}
