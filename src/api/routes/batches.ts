import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ServingError } from '../../core/errors.ts'
import type { Batch, BatchStatus } from '../../storage/batch-store.ts'
import { wallClock } from '../../storage/store.ts'
import type { ApiContext } from '../context.ts'
import { parseBody } from '../errors.ts'
import { batchListQuery, batchRequest, windowSeconds } from '../schemas/batches.ts'
import { askerOf } from '../service-terms.ts'
import { listJson, ownerOf } from './files.ts'

interface ById {
  readonly Params: { readonly id: string }
}

export function batches(app: FastifyInstance, context: ApiContext): void {
  const { batches: service } = context
  const find = async (request: FastifyRequest<ById>) => {
    const opened = await service.open()
    const batch = opened.store.batches.find(request.params.id, ownerOf(context, request))
    if (batch !== undefined) return { ...opened, batch }
    throw new ServingError('NOT_FOUND', `There is no batch '${request.params.id}'.`, { param: 'id' })
  }

  app.post('/v1/batches', async (request) => {
    const body = parseBody(batchRequest, request.body)
    const owner = ownerOf(context, request)
    const { store, worker } = await service.open()
    checkInput(store.files.find(body.input_file_id, owner), body.input_file_id)
    if (!app.hasRoute({ method: 'POST', url: body.endpoint })) {
      const message = `${body.endpoint} is not served here.`
      throw new ServingError('INVALID_REQUEST', message, { param: 'endpoint' })
    }
    const { tenant, weight } = askerOf(context, request, {}, context.clock.now()).terms
    const createdAt = wallClock()
    const batch = store.batches.create({
      owner,
      tenant,
      weight,
      endpoint: body.endpoint,
      inputFile: body.input_file_id,
      completionWindow: body.completion_window,
      metadata: body.metadata ?? {},
      createdAt,
      expiresAt: createdAt + windowSeconds(body.completion_window),
      outputSeconds: body.output_expires_after?.seconds,
    })
    worker.wake()
    return batchJson(batch)
  })

  app.get('/v1/batches', async (request) => {
    const { after, limit } = parseBody(batchListQuery, request.query)
    const { store } = await service.open()
    const list = store.batches.list(ownerOf(context, request), { after, limit: limit + 1 })
    return listJson(list.map(batchJson), limit)
  })

  app.get<ById>('/v1/batches/:id', async (request) => batchJson((await find(request)).batch))

  app.post<ById>('/v1/batches/:id/cancel', async (request) => {
    const { worker, batch } = await find(request)
    return batchJson(worker.cancel(batch))
  })
}

function checkInput(file: { readonly purpose: string } | undefined, id: string): void {
  const param = 'input_file_id'
  if (file === undefined) throw new ServingError('NOT_FOUND', `There is no file '${id}'.`, { param })
  if (file.purpose === 'batch') return
  const message = `The file '${id}' was sent for '${file.purpose}', not for 'batch'.`
  throw new ServingError('INVALID_REQUEST', message, { param })
}

function batchJson(batch: Batch) {
  const { times, errors } = batch
  const at = (status: BatchStatus) => times[status] ?? null
  return {
    id: batch.id,
    object: 'batch',
    endpoint: batch.endpoint,
    errors: errors.length === 0 ? null : { object: 'list', data: errors },
    input_file_id: batch.inputFile,
    completion_window: batch.completionWindow,
    status: batch.status,
    output_file_id: batch.outputFile ?? null,
    error_file_id: batch.errorFile ?? null,
    created_at: batch.createdAt,
    in_progress_at: at('in_progress'),
    expires_at: batch.expiresAt,
    finalizing_at: at('finalizing'),
    completed_at: at('completed'),
    failed_at: at('failed'),
    expired_at: at('expired'),
    cancelling_at: at('cancelling'),
    cancelled_at: at('cancelled'),
    request_counts: { total: batch.total, completed: batch.completed, failed: batch.failed },
    metadata: batch.metadata,
  }
}
