/**
 * A server without a model: streams made-up tokens at a given pace. Against it a load generator measures itself, and
 * tests script what servers do wrong.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface NullServerOptions {
  /** Milliseconds before the first token and between two. */
  readonly firstTokenMs?: number
  readonly gapMs?: number
  /** Nothing is sent in [from, to), in ms from the server's start: a stall. */
  readonly stall?: { readonly fromMs: number; readonly toMs: number }
  /** Requests answered at a time; others wait. */
  readonly slots?: number
}

export interface NullServer {
  readonly url: string
  /** Restarts the clock that `stall` counts by. */
  restartClock(): void
  close(): Promise<void>
}

interface Asked {
  readonly prompt?: string | readonly number[]
  readonly max_tokens?: number
}

const tokenEvent = 'data: {"choices":[{"index":0,"text":" token","finish_reason":null}]}\n\n'

/** Listens on a free port of the loopback interface. */
export async function startNullServer(options: NullServerOptions = {}): Promise<NullServer> {
  const state = { startedAt: performance.now(), numActive: 0, queue: [] as (() => void)[] }
  const server = createServer((request, response) => void serve(request, response, options, state))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    restartClock: () => {
      state.startedAt = performance.now()
    },
    close: () => closeServer(server),
  }
}

interface State {
  startedAt: number
  numActive: number
  readonly queue: (() => void)[]
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  options: NullServerOptions,
  state: State,
): Promise<void> {
  if (request.url !== '/v1/completions') {
    response.writeHead(request.url === '/v1/models' ? 200 : 404, { 'content-type': 'application/json' })
    response.end('{"data":[{"id":"null"}]}')
    return
  }
  const asked = await readBody(request)
  if (state.numActive >= (options.slots ?? Infinity))
    await new Promise<void>((resolve) => state.queue.push(resolve))
  state.numActive += 1
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  await streamTokens(response, asked, options, state)
  state.numActive -= 1
  state.queue.shift()?.()
}

async function streamTokens(
  response: ServerResponse,
  { prompt = [], max_tokens: numTokens = 1 }: Asked,
  options: NullServerOptions,
  state: State,
): Promise<void> {
  const { firstTokenMs = 0, gapMs = 0, stall } = options
  let at = performance.now() + firstTokenMs
  for (let index = 0; index < numTokens && !response.destroyed; index += 1) {
    const elapsed = (): number => performance.now() - state.startedAt
    if (stall !== undefined && elapsed() >= stall.fromMs && elapsed() < stall.toMs)
      await sleep(stall.toMs - elapsed())
    if (at > performance.now()) await sleep(at - performance.now())
    response.write(tokenEvent)
    at += gapMs
  }
  const usage = {
    prompt_tokens: typeof prompt === 'string' ? prompt.split(' ').length : prompt.length,
    completion_tokens: numTokens,
  }
  response.end(
    `data: {"choices":[{"index":0,"text":"","finish_reason":"length"}],"usage":${JSON.stringify(usage)}}\n\ndata: [DONE]\n\n`,
  )
}

async function readBody(request: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString()) as Asked
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeAllConnections()
  await closed
}
