/** HTTP as a load generator needs it: kept connections, and the instant at which each piece of an answer came. */
import {
  Agent as PlainAgent,
  request as plainRequest,
  type ClientRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'
import { ServingError } from '../core/errors.ts'

export interface Endpoint {
  /** Without a slash or `/v1` at its end. */
  readonly url: string
  readonly apiKey: string | undefined
}

export interface Post {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: object
  /** Milliseconds without a byte after which the request counts as failed. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** `at`: `performance.now()` when the bytes arrived. */
  readonly onBytes: (bytes: Buffer, at: number) => void
}

const agents = {
  'http:': new PlainAgent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 4096, noDelay: true }),
  'https:': new SecureAgent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 4096, noDelay: true }),
}

/**
 * Resolves at the end of the answer.
 * @throws {ServingError} INTERNAL: unreachable, refused (with the server's own words), cut off, or silent too long.
 */
export function post(endpoint: Endpoint, options: Post): Promise<void> {
  const { path, timeoutMs, signal } = options
  const body = JSON.stringify(options.body)
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => reject(failure(endpoint, cause))
    send(endpoint, { path, headers: options.headers, body, timeoutMs, signal }, fail, (response) =>
      receive(response, options, { resolve, reject, fail }),
    )
  })
}

interface Outcome {
  resolve(): void
  reject(refusal: ServingError): void
  fail(cause: unknown): void
}

function receive(response: IncomingMessage, { onBytes }: Post, { resolve, reject, fail }: Outcome): void {
  response.on('error', fail)
  if (response.statusCode !== 200) {
    readAll(response).then((text) => reject(refusal(response.statusCode ?? 0, text)), fail)
    return
  }
  response.on('data', (bytes: Buffer) => onBytes(bytes, performance.now()))
  response.on('end', () => (response.complete ? resolve() : fail(new Error('the answer was cut off'))))
}

/**
 * Whether the server had closed a kept connection before it saw this request, as it may at any time. It is no failure of
 * the server, and asking again on another connection is safe. Call before any answer has come.
 */
function wasClosedWhileIdle(request: ClientRequest, cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE')
}

/** Parsed JSON of a GET, or of a POST when there is a body. @throws {ServingError} INTERNAL */
export async function fetchJson(endpoint: Endpoint, path: string, body?: object): Promise<unknown> {
  const text = await fetchText(endpoint, path, body)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ServingError('INTERNAL', `${endpoint.url}${path} answers what is not JSON.`, { cause })
  }
}

export function fetchText(endpoint: Endpoint, path: string, body?: object): Promise<string> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => reject(failure(endpoint, cause))
    send(endpoint, { path, headers: {}, body: text, timeoutMs: 10_000 }, fail, (response) => {
      readAll(response).then((answer) => {
        if (response.statusCode === 200) resolve(answer)
        else reject(refusal(response.statusCode ?? 0, answer))
      }, fail)
    })
  })
}

interface Message {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** A POST has one, a GET none. */
  readonly body: string | undefined
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

function send(
  endpoint: Endpoint,
  message: Message,
  fail: (cause: unknown) => void,
  answered: (response: IncomingMessage) => void,
): void {
  const { body, timeoutMs } = message
  const request = open(endpoint, message)
  let hasAnswered = false
  request.setTimeout(timeoutMs, () => request.destroy(new Error(`silent for ${timeoutMs} ms`)))
  request.on('error', (cause) => {
    if (!hasAnswered && wasClosedWhileIdle(request, cause)) send(endpoint, message, fail, answered)
    else fail(cause)
  })
  request.on('response', (response) => {
    hasAnswered = true
    answered(response)
  })
  request.end(body)
}

function open({ url, apiKey }: Endpoint, { path, headers, body, signal }: Message): ClientRequest {
  const target = new URL(url + path)
  const options = {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...(body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      ...headers,
    },
    ...(signal === undefined ? {} : { signal }),
  }
  return target.protocol === 'https:'
    ? secureRequest(target, { ...options, agent: agents['https:'] })
    : plainRequest(target, { ...options, agent: agents['http:'] })
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

function failure({ url }: Endpoint, cause: unknown): ServingError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined
  const words = code ?? (cause instanceof Error ? cause.message : String(cause))
  return new ServingError('INTERNAL', `${url}: ${words}`, { cause })
}

/** The reason inside OpenAI's error object, or the beginning of whatever came. */
function refusal(status: number, text: string): ServingError {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } | string }
    const message = typeof error === 'string' ? error : error?.message
    if (typeof message === 'string') return new ServingError('INTERNAL', `${status}: ${message}`)
  } catch {
    // Not JSON: the text itself is the best there is.
  }
  return new ServingError('INTERNAL', `${status}: ${text.slice(0, 200)}`)
}
