import type { FastifyInstance } from 'fastify'
import type { ApiContext } from '../context.ts'

export function metrics(app: FastifyInstance, context: ApiContext): void {
  app.get('/metrics', async (_request, reply) => {
    const { registry } = context.metrics
    return reply.header('content-type', registry.contentType).send(await registry.metrics())
  })
}
