import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { micros } from '../../core/units.ts'
import type { Workload } from '../../workload/workload.ts'
import { replay } from '../replay.ts'
import { readGauges } from '../scrape.ts'
import { findVocabulary } from '../vocabulary.ts'
import { adapters } from './index.ts'
import { openTarget, parseTarget, tryOpenTarget } from './target.ts'

const closing: (() => unknown)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/** A server as far as a load generator sees one: pages by path, and what it streams to any other request. */
interface Dialect {
  readonly kind: string
  readonly pages: Readonly<Record<string, unknown>>
  readonly path: string
  readonly stream: readonly string[]
  readonly metrics?: string
  readonly expected: { readonly server: string | undefined; readonly cachedTokens: number | undefined }
  readonly takesTokens: boolean
}

const models = { data: [{ id: 'a-model' }] }
const ids = { tokens: Array.from({ length: 20 }, (_, index) => index + 100) }
const sse = (...events: readonly unknown[]): string[] => [
  ...events.map((event) => `data: ${JSON.stringify(event)}\n\n`),
  'data: [DONE]\n\n',
]
const token = (id: number) => ({ choices: [{ text: ' a', finish_reason: null, token_ids: [id] }] })
const usage = (cached: number) => ({
  choices: [],
  usage: {
    prompt_tokens: 4,
    completion_tokens: 2,
    prompt_tokens_details: { cached_tokens: cached },
  },
})
const gauges = 'vllm:num_requests_running 2\nvllm:num_requests_waiting 1\nvllm:kv_cache_usage_perc 0.5\n'

const dialects: readonly Dialect[] = [
  {
    kind: 'switchyard',
    pages: { '/version': { server: 'switchyard', version: '1.2' }, '/v1/models': models, '/tokenize': ids },
    path: '/v1/completions',
    stream: sse(token(7), token(8), usage(3)),
    metrics: gauges,
    expected: { server: '1.2', cachedTokens: 3 },
    takesTokens: true,
  },
  {
    kind: 'vllm',
    pages: { '/version': { version: '0.11.2' }, '/v1/models': models, '/tokenize': ids },
    path: '/v1/completions',
    stream: sse(token(7), token(8), usage(2)),
    metrics: gauges,
    expected: { server: '0.11.2', cachedTokens: 2 },
    takesTokens: true,
  },
  {
    kind: 'llama-server',
    pages: { '/props': { build_info: 'b7000' }, '/v1/models': models, '/tokenize': ids },
    path: '/completion',
    stream: [
      'data: {"content":" a","tokens":[7],"stop":false,"tokens_predicted":1,"tokens_evaluated":4}\n\n',
      'data: {"content":"","tokens":[8],"stop":false,"tokens_predicted":2,"tokens_evaluated":4}\n\n',
      'data: {"content":"","tokens":[],"stop":true,"tokens_evaluated":4,"tokens_predicted":2,"timings":{"cache_n":1}}\n\n',
    ],
    metrics:
      'llamacpp:requests_processing 2\nllamacpp:requests_deferred 1\nllamacpp:kv_cache_usage_ratio 0.5\n',
    expected: { server: 'b7000', cachedTokens: 1 },
    takesTokens: true,
  },
  {
    kind: 'ollama',
    pages: { '/api/version': { version: '0.5.1' }, '/v1/models': models },
    path: '/api/generate',
    stream: [
      '{"response":" a","done":false}\n{"response":" b","do',
      'ne":false}\n{"response":"","done":true,"prompt_eval_count":4,"eval_count":2}\n',
    ],
    expected: { server: '0.5.1', cachedTokens: undefined },
    takesTokens: false,
  },
  {
    kind: 'openai',
    pages: { '/v1/models': models },
    path: '/v1/completions',
    stream: sse(
      { choices: [{ text: ' a', finish_reason: null }] },
      { choices: [{ text: ' b', finish_reason: null }] },
      { choices: [], usage: { prompt_tokens: 4, completion_tokens: 2 } },
    ),
    expected: { server: undefined, cachedTokens: undefined },
    takesTokens: false,
  },
]

interface Asked {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Readonly<Record<string, unknown>>
}

async function start({ pages, stream, path }: Dialect): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const piece of request) text += String(piece)
    const page = pages[request.url ?? '']
    if (page !== undefined) return void response.end(JSON.stringify(page))
    if (request.url !== path) {
      response.statusCode = 404
      return void response.end()
    }
    asked.push({ path, headers: request.headers, body: JSON.parse(text) as Asked['body'] })
    for (const piece of stream) response.write(piece)
    response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

const workload: Workload = {
  name: 'test',
  blockSize: 16,
  provenance: [],
  requests: [
    {
      arrival: micros(0),
      tenant: 'a',
      program: 'p',
      turn: 0,
      gap: micros(0),
      gapKind: undefined,
      numPromptTokens: 4,
      numOutputTokens: 2,
      blocks: [1],
      serviceClass: 'flex',
    },
  ],
}

describe.each(dialects)('a server of kind $kind', (dialect) => {
  it('is known without being named, and measured in its own words', async () => {
    const { url, asked } = await start(dialect)
    const target = await openTarget(parseTarget(url), {})
    expect(target).toMatchObject({ model: 'a-model', version: dialect.expected.server })
    expect(target.adapter.name).toBe(dialect.kind)
    const records = await replay({
      target,
      vocabulary: await findVocabulary(target),
      workload,
      seed: 1,
      loop: { kind: 'open' },
      history: 'actual',
      timeoutMs: 5000,
      signal: new AbortController().signal,
    })
    const { cachedTokens } = dialect.expected
    expect(records).toMatchObject([{ promptTokens: 4, outputTokens: 2, cachedTokens, error: undefined }])
    expect(records[0]?.tokenTimes).toHaveLength(2)
    const { prompt } = asked[0]!.body
    if (dialect.takesTokens) expect(prompt).toHaveLength(4)
    else expect(String(prompt).split(' ')).toHaveLength(4)
  })

  it('shows its queue under the names that it uses', () => {
    const names = metricNamesOf(dialect.kind)
    if (dialect.metrics === undefined) expect(names).toBeUndefined()
    else
      expect(readGauges(dialect.metrics, names!, 0)).toEqual({
        at: 0,
        numRunning: 2,
        numWaiting: 1,
        kvUsage: 0.5,
      })
  })
})

function metricNamesOf(kind: string) {
  return adapters.find(({ name }) => name === kind)?.metrics
}

describe('a target', () => {
  it('is taken for what its user says it is', async () => {
    const { url } = await start(dialects[4]!)
    const target = await openTarget(parseTarget(`x:vllm=${url}`), { model: 'mine' })
    expect(target).toMatchObject({ name: 'x', model: 'mine', version: undefined })
    expect(target.adapter.name).toBe('vllm')
  })

  it('that lists no models needs a name for one', async () => {
    const { url } = await start({ ...dialects[4]!, pages: { '/v1/models': { data: [] } } })
    await expect(openTarget(parseTarget(url), {})).rejects.toThrow('lists no models; give --model')
  })

  it('that nobody answers has a problem to report', async () => {
    const { url } = await start(dialects[4]!)
    for (const close of closing.splice(0)) close()
    const target = await tryOpenTarget(parseTarget(url), {})
    expect(target.problem).toMatch(/ECONNREFUSED/)
  })
})
