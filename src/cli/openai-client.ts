/** The little of an OpenAI client that `chat` and `bench` need: any compatible server will do. */
import { createParser } from 'eventsource-parser'

import { ServingError } from '../core/errors.ts'

export interface Endpoint {
  /** With or without a `/v1` at its end. */
  readonly url: string
  readonly apiKey: string | undefined
}

/** The parts of a streamed chunk that are read; everything may be missing in somebody else's server. */
export interface StreamChunk {
  readonly choices?: readonly {
    readonly text?: string | null
    readonly delta?: { readonly content?: string | null }
    readonly finish_reason?: string | null
  }[]
  readonly usage?: { readonly prompt_tokens?: number; readonly completion_tokens?: number } | null
  /** llama-server's and our own report of an answer; `predicted_ms` is from its first token to its last. */
  readonly timings?: { readonly predicted_ms?: number }
  readonly error?: { readonly message?: string } | string
}

/** @throws {ServingError} INVALID_CONFIG when it is no URL of a web server. */
export function parseEndpoint(url: string, apiKey: string | undefined): Endpoint {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:') {
    throw new ServingError('INVALID_CONFIG', `--url: expected http://host:port, got "${url}".`)
  }
  return { url: url.replace(/\/+$/, '').replace(/\/v1$/, ''), apiKey }
}

/** The first model that a server lists. */
export async function findModel(endpoint: Endpoint): Promise<string> {
  const body = (await requestJson(endpoint, '/v1/models')) as { data?: { id?: string }[] }
  const id = body.data?.[0]?.id
  if (id === undefined)
    throw new ServingError('MODEL_NOT_FOUND', `${endpoint.url} lists no models; give --model.`)
  return id
}

/** Parsed JSON of a GET, or of a POST when there is a body. */
async function requestJson(endpoint: Endpoint, path: string, body?: object): Promise<unknown> {
  return (await send(endpoint, path, body)).json()
}

/**
 * Posts and calls `onChunk` with each event as it arrives; resolves at the end of the stream.
 * @throws {ServingError} with the server's own words when it refuses, or when the stream carries an error.
 */
export async function streamChunks(
  endpoint: Endpoint,
  path: string,
  body: object,
  options: { readonly signal?: AbortSignal; readonly onChunk: (chunk: StreamChunk) => void },
): Promise<void> {
  const response = await send(endpoint, path, body, options.signal)
  const parser = createParser({
    onEvent: ({ data }) => {
      if (data === '[DONE]') return
      const chunk = JSON.parse(data) as StreamChunk
      if (chunk.error !== undefined) throw new ServingError('ENGINE_FAILED', errorText(chunk.error))
      options.onChunk(chunk)
    },
  })
  const decoder = new TextDecoder()
  for await (const piece of response.body ?? []) parser.feed(decoder.decode(piece, { stream: true }))
}

async function send(
  endpoint: Endpoint,
  path: string,
  body?: object,
  signal?: AbortSignal,
): Promise<Response> {
  const response = await fetch(endpoint.url + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(endpoint.apiKey === undefined ? {} : { authorization: `Bearer ${endpoint.apiKey}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  }).catch((cause: unknown) => {
    if (signal?.aborted === true) throw cause
    throw new ServingError('INTERNAL', `Cannot reach ${endpoint.url} (${reason(cause)}).`, { cause })
  })
  if (response.ok) return response
  throw new ServingError('INTERNAL', await refusal(response))
}

async function refusal(response: Response): Promise<string> {
  const body = await response.text()
  try {
    const { error } = JSON.parse(body) as { error?: StreamChunk['error'] }
    if (error !== undefined) return `${response.status}: ${errorText(error)}`
  } catch {
    // Not JSON: the text itself is the best there is.
  }
  return `${response.status}: ${body.slice(0, 200) || response.statusText}`
}

function errorText(error: NonNullable<StreamChunk['error']>): string {
  return typeof error === 'string' ? error : (error.message ?? 'the server gave no reason')
}

/** `fetch` hides what happened in a cause. */
function reason(error: unknown): string {
  const inner = error instanceof Error ? (error.cause ?? error) : error
  if (inner instanceof Error && 'code' in inner) return String(inner.code)
  return inner instanceof Error ? inner.message : String(inner)
}
