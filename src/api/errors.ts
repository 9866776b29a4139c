/** Every failure as the error object of its surface, which is OpenAI's unless the path says otherwise. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { errorTable, ServingError, type ErrorCode } from '../core/errors.ts'
import { microsToSeconds } from '../core/units.ts'
import { anthropicErrorBody } from './surfaces/anthropic/error-body.ts'
import { ollamaErrorBody } from './surfaces/ollama/error-body.ts'

export interface ErrorBody {
  readonly error: {
    readonly message: string
    readonly type: string
    readonly param: string | null
    readonly code: string
  }
}

/** Where OpenAI has a name of its own for a code. */
const wireCodes: Partial<Record<ErrorCode, string>> = {
  PROMPT_TOO_LONG: 'context_length_exceeded',
  UNAUTHORIZED: 'invalid_api_key',
  RATE_LIMITED: 'rate_limit_exceeded',
}

export function errorBody(code: ErrorCode, message: string, param?: string): ErrorBody {
  const wireCode = wireCodes[code] ?? code.toLowerCase()
  return { error: { message, type: errorTable[code].type, param: param ?? null, code: wireCode } }
}

/** Answers with an error; the status is the code's. */
export function sendError(reply: FastifyReply, error: unknown): FastifyReply {
  const known = toServingError(error)
  if (known.code === 'INTERNAL') reply.log.error({ err: error }, 'request failed')
  // A connection that closes while the client is still sending looks to it like a failure of the network.
  if (known.code === 'BODY_TOO_LARGE') void reply.removeHeader('connection')
  const retryAfter = retrySeconds(known)
  if (retryAfter !== undefined) void reply.header('retry-after', `${retryAfter}`)
  return reply.code(errorTable[known.code].status).send(bodyOf(known, reply))
}

/** Every client of Anthropic's API says which version of it is meant. */
export const isAnthropic = ({ headers }: Pick<FastifyRequest, 'headers'>): boolean =>
  headers['anthropic-version'] !== undefined

/** By the path, so that the shape is right also where no route was reached. */
function bodyOf(error: ServingError, { request }: FastifyReply): unknown {
  const { url, id } = request
  if (url.startsWith('/api/')) return ollamaErrorBody(error)
  if (url.startsWith('/v1/messages') || isAnthropic(request)) return anthropicErrorBody(error, id)
  return errorBody(error.code, error.message, error.param)
}

/** Whole seconds, as the header wants them. */
function retrySeconds({ code, retryAfter }: ServingError): number | undefined {
  if (retryAfter !== undefined) return Math.max(1, Math.ceil(microsToSeconds(retryAfter)))
  return errorTable[code].status === 503 ? 1 : undefined
}

/** @throws {ServingError} INVALID_REQUEST naming the first field at fault as `messages[0].content`. */
export function parseBody<T extends z.ZodType>(schema: T, body: unknown): z.infer<T> {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const issue = mostSpecific(result.error.issues)
  const param = fieldPath(issue.path)
  const what = issue.message
    .replace(/^Invalid input: /, '')
    .replace(/received undefined$/, 'but it is missing')
  const message = param === '' ? `The request body: ${what}` : `Invalid '${param}': ${what}`
  throw new ServingError('INVALID_REQUEST', message, param === '' ? {} : { param })
}

function toServingError(error: unknown): ServingError {
  if (error instanceof ServingError) return error
  const { statusCode, message } = (error ?? {}) as { statusCode?: number; message?: string }
  const text = message ?? 'The request could not be read.'
  if (statusCode === 413) return new ServingError('BODY_TOO_LARGE', text)
  if (statusCode === 415) return new ServingError('UNSUPPORTED_MEDIA_TYPE', text)
  if (statusCode !== undefined && statusCode < 500) return new ServingError('INVALID_REQUEST', text)
  return new ServingError('INTERNAL', 'The server failed to answer this request.')
}

/** In a union, the alternative that got furthest says most about what the sender meant. */
function mostSpecific(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue {
  const [issue] = issues
  if (issue === undefined) throw new ServingError('INVALID_REQUEST', 'The request is not valid.')
  if (issue.code !== 'invalid_union') return issue
  const furthest = issue.errors
    .filter((alternative) => alternative.length > 0)
    .map(mostSpecific)
    .toSorted((a, b) => compareProgress(b.path, a.path))[0]
  if (furthest === undefined || furthest.path.length === 0) return issue
  return { ...furthest, path: [...issue.path, ...furthest.path] }
}

/** Deeper is further; at one depth, later in a list is. */
function compareProgress(a: readonly PropertyKey[], b: readonly PropertyKey[]): number {
  if (a.length !== b.length) return a.length - b.length
  const at = a.findIndex((key, index) => key !== b[index])
  const [left, right] = [a[at], b[at]]
  return typeof left === 'number' && typeof right === 'number' ? left - right : 0
}

function fieldPath(path: readonly PropertyKey[]): string {
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '')
}
