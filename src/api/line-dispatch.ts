/**
 * Lines of batches enter where requests of clients do, as calls within the process: each surface answers them as it
 * answers anybody, in its own shapes.
 */
import type { FastifyInstance } from 'fastify'
import type { Dispatch, LineAnswer, ServerLoad } from '../batches/dispatch.ts'
import { ServingError } from '../core/errors.ts'
import type { ServiceClass } from '../core/service-class.ts'
import { noLimits } from '../core/tenant.ts'
import type { ApiContext } from './context.ts'
import { errorBody } from './errors.ts'

type Server = Pick<ApiContext, 'engine' | 'keys' | 'config' | 'admission'>

export function lineDispatch(app: FastifyInstance, { engine, keys, config }: Server): Dispatch {
  const classes = [batchClass(config.serviceClasses).name]
  return async ({ endpoint, body, tenant, weight, signal }) => {
    if ((body as { stream?: unknown }).stream === true) return noStream
    await engine.ready()
    const lent = keys.lend({ name: tenant, weight, classes, limits: noLimits, isBackground: true })
    const call = abortable(signal)
    try {
      const answer = app.inject({
        method: 'POST',
        url: endpoint,
        payload: JSON.stringify(body),
        headers: { 'content-type': 'application/json', authorization: `Bearer ${lent.secret}` },
        signal: call.signal,
      })
      // An abort ends the generation; whether the call then comes to an end does not matter to anybody.
      const response = await Promise.race([answer, call.aborted])
      const requestId = String(response.headers['x-request-id'])
      return { status: response.statusCode, requestId, body: response.body }
    } finally {
      call.release()
      lent.giveBack()
    }
  }
}

/** A signal for one call: nothing of the call stays with the signal that outlives it. */
function abortable(signal: AbortSignal) {
  const own = new AbortController()
  let onAbort: () => void = () => undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      own.abort()
      reject(new ServingError('ABORTED', 'The line is no longer wanted.'))
    }
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  return { signal: own.signal, aborted, release: () => signal.removeEventListener('abort', onAbort) }
}

const noStream: LineAnswer = {
  status: 400,
  requestId: '',
  body: JSON.stringify(errorBody('INVALID_REQUEST', 'The answers of a batch cannot be streamed.', 'stream')),
}

export function serverLoad({ engine, admission }: Server): ServerLoad {
  const { numWaiting = 0, numRunning = 0 } = engine.stats ?? {}
  return { hasOthers: admission.numRequests > 0, numWaiting, numRunning }
}

/** The one of that name, else the one that minds waiting least. */
function batchClass(classes: readonly ServiceClass[]): ServiceClass {
  const patient = classes.toSorted(
    (a, b) => Number(b.yields) - Number(a.yields) || b.ttftTarget - a.ttftTarget,
  )
  return classes.find(({ name }) => name === 'batch') ?? patient[0]!
}
