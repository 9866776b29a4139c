import type { FastifyInstance } from 'fastify'
import type { ApiContext } from '../context.ts'

export function version(app: FastifyInstance, context: ApiContext): void {
  app.get('/version', () => Promise.resolve({ server: 'switchyard', version: context.version }))
}
