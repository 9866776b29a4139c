/** What must hold on every surface: who may come in, how much, and what is remembered of it; and what reasoning is. */
import Anthropic from '@anthropic-ai/sdk'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  amplyAdmitting,
  listen,
  scriptedServer,
  type ScriptedServer,
} from '../../../test/support/api-server.ts'
import { sharedKey } from '../../core/tenant.ts'
import { sha256 } from '../key-ring.ts'

const messages = [{ role: 'user' as const, content: 'Hi' }]
const openAi = (message: unknown) => ({ error: { message } })
const anthropic = (message: unknown) => ({ type: 'error', error: { message } })
const ollama = (message: unknown) => ({ error: message })

const surfaces: readonly (readonly [string, object, (message: unknown) => object])[] = [
  ['/v1/chat/completions', { messages }, openAi],
  ['/v1/responses', { input: 'Hi' }, openAi],
  ['/v1/embeddings', { input: 'Hi' }, openAi],
  ['/v1/messages', { model: 'script', max_tokens: 9, messages }, anthropic],
  ['/api/chat', { model: 'script', messages, stream: false }, ollama],
  ['/api/generate', { model: 'script', prompt: 'Hi', stream: false }, ollama],
  ['/api/embed', { model: 'script', input: 'Hi' }, ollama],
]

let server: ScriptedServer

afterEach(async () => {
  await server.close()
  await server.engine.close()
})

describe.each(surfaces)('%s', (url, body, errorOf) => {
  // What inject returns begins only when somebody waits for it.
  const send = async (headers: Record<string, string> = {}) =>
    server.app.inject({ method: 'POST', url, payload: body, headers })

  it('wants a key where there are keys, and takes it from either header', async () => {
    server = scriptedServer('Hello', { apiKeys: [sharedKey(sha256('secret'))] })
    const refused = await send()
    expect(refused.statusCode).toBe(401)
    expect(refused.json()).toMatchObject(errorOf(expect.stringContaining('API key')))
    expect((await send({ authorization: 'Bearer secret' })).statusCode).toBe(200)
    expect((await send({ 'x-api-key': 'secret' })).statusCode).toBe(200)
    expect((await send({ 'x-api-key': 'guess' })).statusCode).toBe(401)
  })

  it('is admitted within the limits of its tenant, or told when to come back', async () => {
    server = scriptedServer('Hello', { admission: { ...amplyAdmitting, maxTenantRequests: 1 } })
    server.engine.pause()
    const headers = { 'x-switchyard-tenant': 'ada' }
    const first = send(headers)
    const second = await send(headers)
    expect(second.statusCode).toBe(429)
    expect(Number(second.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    expect(second.json()).toMatchObject(errorOf(expect.stringContaining('queue')))
    server.engine.resume()
    expect((await first).statusCode).toBe(200)
    expect(server.engine.requests[0]?.tenant).toBe('ada')
  })

  it('leaves a timeline under the id of the request', async () => {
    server = scriptedServer('Hello')
    const answer = await send({ 'x-session-id': 'trip' })
    const id = String(answer.headers['x-request-id'])
    const timeline = await server.app.inject({ url: `/v1/requests/${id}/timeline` })
    expect(timeline.json()).toMatchObject({
      id,
      status: 'finished',
      program: 'trip',
      service_tier: 'default',
    })
  })
})

describe('reasoning', () => {
  let baseURL: string

  beforeEach(async () => {
    server = scriptedServer('<think>\nA greeting.\n</think>\n\nHello', { reasoningParser: 'think' })
    baseURL = `http://127.0.0.1:${await listen(server)}`
  })

  it('is a thinking block to Anthropic, whole and streamed', async () => {
    const client = new Anthropic({ baseURL, apiKey: 'any', maxRetries: 0 })
    const ask = { model: 'script', max_tokens: 99, messages }
    const expected = [
      { type: 'thinking', thinking: expect.stringContaining('A greeting.') },
      { type: 'text', text: 'Hello' },
    ]
    expect((await client.messages.create(ask)).content).toMatchObject(expected)
    const { content } = await client.messages.stream(ask).finalMessage()
    expect(content).toMatchObject(expected)
    const back = { ...ask, messages: [...messages, { role: 'assistant' as const, content }, ...messages] }
    expect((await client.messages.create(back)).stop_reason).toBe('end_turn')
  })

  it('is an item of its own to OpenAI, whole and streamed', async () => {
    const client = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: 'any', maxRetries: 0 })
    const ask = { model: 'script', input: 'Hi' }
    const expected = [
      {
        type: 'reasoning',
        content: [{ type: 'reasoning_text', text: expect.stringContaining('A greeting.') }],
      },
      { type: 'message', content: [{ type: 'output_text', text: 'Hello' }] },
    ]
    const whole = await client.responses.create(ask)
    expect(whole.output).toMatchObject(expected)
    expect(whole.usage?.output_tokens_details.reasoning_tokens).toBeGreaterThan(8)
    const streamed = await client.responses.stream(ask).finalResponse()
    expect(streamed.output).toMatchObject(expected)
    const next = await client.responses.create({ ...ask, previous_response_id: streamed.id })
    expect(next.output_text).toBe('Hello')
  })

  it('is thinking to Ollama, whole and streamed', async () => {
    const client = new Ollama({ host: baseURL })
    const { message } = await client.chat({ model: 'script', messages })
    expect(message).toMatchObject({ thinking: expect.stringContaining('A greeting.'), content: 'Hello' })
    let thinking = ''
    for await (const part of await client.generate({ model: 'script', prompt: 'Hi', stream: true }))
      thinking += part.thinking ?? ''
    expect(thinking).toContain('A greeting.')
  })
})

describe('a stream that breaks', () => {
  const broken = [...Buffer.from('Hel'), new Error('the kernel failed')]

  beforeEach(() => {
    server = scriptedServer(() => broken)
  })

  const stream = async (url: string, body: object) =>
    (await server.app.inject({ method: 'POST', url, payload: { ...body, stream: true } })).body

  it("ends with the surface's own error", async () => {
    const port = await listen(server)
    const message = expect.stringContaining('kernel')
    const client = new Anthropic({ baseURL: `http://127.0.0.1:${port}`, apiKey: 'any', maxRetries: 0 })
    const reading = client.messages.stream({ model: 'script', max_tokens: 9, messages }).finalMessage()
    await expect(reading).rejects.toMatchObject({
      error: { type: 'error', error: { type: 'api_error', message } },
    })
    const events = (await stream('/v1/responses', { input: 'Hi' }))
      .split('\n\n')
      .filter((text) => text !== '')
    expect(events.at(-2)).toContain('event: error')
    expect(JSON.parse(events.at(-1)!.replace(/^event: .*\ndata: /, ''))).toMatchObject({
      type: 'response.failed',
      response: {
        status: 'failed',
        error: { code: 'server_error', message },
        output: [{ status: 'incomplete' }],
      },
    })
    const lines = (await stream('/api/chat', { model: 'script', messages })).trim().split('\n')
    expect(JSON.parse(lines.at(-1)!)).toStrictEqual({ error: message })
  })
})
