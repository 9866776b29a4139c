import type { FastifyInstance } from 'fastify'
import type { ApiContext } from '../context.ts'
import { openApiDocument } from '../openapi/document.ts'
import { referencePage } from '../openapi/reference-page.ts'

/** What can be asked of the server, for programs and for people. Made when first asked for. */
export function openapi(app: FastifyInstance, context: ApiContext): void {
  let document: ReturnType<typeof openApiDocument> | undefined
  let page: string | undefined
  const describe = () => (document ??= openApiDocument(context.version))
  app.get('/', (_request, reply) => reply.redirect('/docs'))
  app.get('/openapi.json', () => Promise.resolve(describe()))
  app.get('/docs', (_request, reply) =>
    reply.type('text/html; charset=utf-8').send((page ??= referencePage(describe()))),
  )
}
