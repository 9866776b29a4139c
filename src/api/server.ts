/**
 * The HTTP side of one engine: routes, authentication, limits, errors in OpenAI's shape. It sees the engine through
 * `EngineClient` only.
 */
import { randomUUID } from 'node:crypto'
import fastify, { LogController, type FastifyInstance } from 'fastify'
import type { Clock } from '../core/clock.ts'
import { ServingError } from '../core/errors.ts'
import type { ModelCard } from '../core/model-card.ts'
import type { ApiKey } from '../core/tenant.ts'
import type { EngineClient } from '../engine/engine-client.ts'
import { ServerMetrics } from '../telemetry/metrics.ts'
import type { ChatTemplate } from '../text/chat-template.ts'
import { dialectOf } from '../text/output/dialect.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import { ActiveWork } from './active-work.ts'
import { BatchService } from './batch-service.ts'
import { lineDispatch, serverLoad } from './line-dispatch.ts'
import { Admission } from './admission/admission.ts'
import { checkDepth } from './body-depth.ts'
import { defaultFiles, type ApiConfig, type ApiContext } from './context.ts'
import { sendError } from './errors.ts'
import { KeyRing } from './key-ring.ts'
import { ProgramLog } from './program-log.ts'
import { TimelineStore } from './timeline-store.ts'
import { batches } from './routes/batches.ts'
import { chatCompletions } from './routes/chat-completions.ts'
import { completions } from './routes/completions.ts'
import { debugKv } from './routes/debug-kv.ts'
import { detokenize } from './routes/detokenize.ts'
import { embeddings } from './routes/embeddings.ts'
import { files } from './routes/files.ts'
import { health } from './routes/health.ts'
import { metrics } from './routes/metrics.ts'
import { models } from './routes/models.ts'
import { openapi } from './routes/openapi.ts'
import { rerank } from './routes/rerank.ts'
import { timeline } from './routes/timeline.ts'
import { tokenize } from './routes/tokenize.ts'
import { version } from './routes/version.ts'
import { anthropicMessages } from './surfaces/anthropic/routes.ts'
import { ollamaEmbeddings } from './surfaces/ollama/embed-routes.ts'
import { ollamaModels } from './surfaces/ollama/model-routes.ts'
import { ollamaGeneration } from './surfaces/ollama/routes.ts'
import { responses } from './surfaces/responses/routes.ts'
import type { WorkloadRecorder } from './workload-recorder.ts'

export type { ApiConfig } from './context.ts'

export interface ServerDeps {
  readonly engine: EngineClient
  readonly tokenizer: Tokenizer
  readonly chat: ChatTemplate
  readonly clock: Clock
  readonly config: ApiConfig
  readonly version: string
  readonly card?: ModelCard | undefined
  /** pino's level. */
  readonly logLevel: string
  /** Told of every generation; undefined: nothing is recorded. */
  readonly recorder?: WorkloadRecorder | undefined
}

export interface ApiServer {
  readonly app: FastifyInstance
  /** From now on these keys open it. A server that began without keys stays open. */
  replaceKeys(keys: readonly ApiKey[]): void
  readonly batches: BatchService
  /** Method and path of every route, such as `GET /v1/files/:id`. */
  routes(): readonly string[]
  /** New generations get 503; resolves when those under way have ended. */
  drain(): Promise<void>
  close(): Promise<void>
}

const routes = [
  chatCompletions,
  completions,
  tokenize,
  detokenize,
  models,
  timeline,
  health,
  files,
  batches,
  openapi,
  version,
  metrics,
  debugKv,
  anthropicMessages,
  responses,
  embeddings,
  rerank,
  ollamaEmbeddings,
  ollamaGeneration,
  ollamaModels,
]

/** Open even when a key is set: what load balancers probe, and what browsers show, which send no keys. */
const openPaths = new Set(['/', '/docs', '/openapi.json', '/health', '/version'])

export function createServer(deps: ServerDeps): ApiServer {
  const app = fastify({
    bodyLimit: deps.config.maxBodyBytes,
    logger: deps.logLevel === 'silent' ? false : { level: deps.logLevel, stream: process.stderr },
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    forceCloseConnections: true,
    // Requests that never reach a route: their URL cannot be read.
    frameworkErrors: (error, request, reply) =>
      void sendError(reply.header('x-request-id', request.id), error),
    routerOptions: { ignoreTrailingSlash: true },
  })
  // Bodies are JSON; any other type is refused by name rather than taken for a string.
  app.removeContentTypeParser('text/plain')
  const metrics = new ServerMetrics(deps.engine, deps.config.servedModelNames[0] ?? 'model')
  const shared: Omit<ApiContext, 'batches'> = {
    ...deps,
    dialect: dialectOf(deps.tokenizer, {
      toolParser: deps.config.toolParser ?? 'auto',
      reasoningParser: deps.config.reasoningParser ?? 'auto',
    }),
    metrics,
    admission: new Admission(deps.config.admission),
    keys: new KeyRing(deps.config.apiKeys),
    programs: new ProgramLog(),
    timelines: new TimelineStore(deps.config.maxTimelines),
    startedAt: Math.floor(Date.now() / 1000),
    isDraining: false,
    active: new ActiveWork(),
  }
  const context: ApiContext = { ...shared, batches: createBatches(app, shared) }

  app.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id)
    const path = request.url.split('?', 1)[0] ?? ''
    if (!openPaths.has(path)) context.keys.find(request.headers)
  })
  app.addHook('preValidation', async (request) => checkDepth(request.body))
  app.addHook('onReady', () => context.batches.resume())
  app.addHook('preClose', () => context.batches.stop())
  const stopLogging = logCrashes(app, deps.engine)
  app.addHook('onClose', async () => {
    stopLogging()
    metrics.close()
    await context.batches.close()
  })
  app.addHook('onResponse', async (request, reply) => {
    metrics.httpRequests.inc({ endpoint: request.routeOptions.url ?? 'unknown', status: reply.statusCode })
  })
  app.setErrorHandler((error, _request, reply) => sendError(reply, error))
  app.setNotFoundHandler((request, reply) => sendError(reply, notFound(app, request.method, request.url)))

  const served: string[] = []
  app.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) if (each !== 'HEAD') served.push(`${each} ${url}`)
  })
  for (const addRoute of routes) addRoute(app, context)

  return {
    app,
    replaceKeys: (keys) => context.keys.replace(keys),
    batches: context.batches,
    routes: () => served,
    drain: async () => {
      context.isDraining = true
      // Their lines run again with the next start: nobody waits for them.
      await context.batches.stop()
      await context.active.idle()
    },
    close: () => app.close(),
  }
}

/** Clients see no more than a pause: whoever runs the server has to hear of it here. */
function logCrashes(app: FastifyInstance, engine: EngineClient): () => void {
  return engine.onCrash((how) => {
    app.log.warn({ how }, 'The engine died; another one goes on with its requests.')
    const back = ({ pid }: { pid: number }): void =>
      app.log.info({ enginePid: pid }, 'The engine runs again.')
    // That it does not is told where the server ends.
    setImmediate(() => void engine.ready().then(back, () => undefined))
  })
}

function createBatches(app: FastifyInstance, context: Omit<ApiContext, 'batches'>): BatchService {
  return new BatchService({
    config: context.config.files ?? defaultFiles,
    maxLineBytes: context.config.maxBodyBytes,
    dispatch: lineDispatch(app, context),
    load: () => serverLoad(context),
    warn: (message, error) => app.log.warn({ err: error }, message),
  })
}

function notFound(app: FastifyInstance, method: string, url: string): ServingError {
  const path = url.split('?', 1)[0] ?? ''
  const others = (['GET', 'POST', 'DELETE'] as const).filter((other) =>
    app.hasRoute({ method: other, url: path }),
  )
  if (others.length === 0) return new ServingError('NOT_FOUND', `There is nothing at ${path}.`)
  return new ServingError('METHOD_NOT_ALLOWED', `${path} takes ${others.join(' and ')}, not ${method}.`)
}
