import { afterEach, describe, expect, it } from 'vitest'
import { scriptedServer, type ScriptedServer } from '../../test/support/api-server.ts'
import { sharedKey } from '../core/tenant.ts'
import type { ErrorBody } from './errors.ts'
import { sha256 } from './key-ring.ts'

let server: ScriptedServer

const start = (...options: Parameters<typeof scriptedServer>) => (server = scriptedServer(...options))
const post = (url: string, payload: object | string, headers: Record<string, string> = {}) =>
  server.app.inject({
    method: 'POST',
    url,
    payload,
    headers: { 'content-type': 'application/json', ...headers },
  })
const ask = { messages: [{ role: 'user', content: 'Hi' }] }
const chat = (fields: object) => post('/v1/chat/completions', { ...ask, ...fields })
const complete = (fields: object) => post('/v1/completions', { prompt: 'Hi', ...fields })

afterEach(async () => {
  await server.close()
  await server.engine.close()
})

describe('a chat completion', () => {
  it("has OpenAI's shape, usage and timings", async () => {
    start('Hello')
    const response = await chat({})
    expect(response.statusCode).toBe(200)
    expect(response.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
    const numPrompt = server.engine.requests[0]?.promptTokens.length ?? 0
    expect(response.json()).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      model: 'script',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
      usage: {
        prompt_tokens: numPrompt,
        completion_tokens: 6,
        total_tokens: numPrompt + 6,
        prompt_tokens_details: { cached_tokens: 2 },
      },
      timings: { cache_n: 2, prompt_n: numPrompt - 2, predicted_n: 6 },
    })
  })

  it('asks the engine with the defaults of OpenAI and all the room that is left', async () => {
    start('x', { maxModelLen: 100 })
    await chat({})
    const [request] = server.engine.requests
    expect(request).toMatchObject({
      stopTokenIds: [257],
      ignoreEos: false,
      tenant: 'default',
      sampling: { temperature: 1, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1, topLogprobs: undefined },
      maxTokens: 100 - (request?.promptTokens.length ?? 0),
    })
  })

  it('passes on what the request sets, and takes null for not set', async () => {
    start('x')
    const fields = {
      temperature: 0.5,
      top_p: 0.9,
      top_k: -1,
      min_p: 0.1,
      seed: 7,
      user: 'ada',
      max_tokens: 3,
    }
    await chat({
      ...fields,
      stop_token_ids: [65],
      ignore_eos: true,
      logit_bias: { 65: -100, 66: 1.5 },
      stop: null,
      n: null,
      unknown: [1],
    })
    expect(server.engine.requests[0]).toMatchObject({
      stopTokenIds: [65],
      tenant: 'ada',
      maxTokens: 3,
      sampling: { temperature: 0.5, topP: 0.9, topK: 0, minP: 0.1, seed: 7 },
    })
    expect([...(server.engine.requests[0]?.sampling.logitBias ?? [])]).toEqual([
      [65, -100],
      [66, 1.5],
    ])
  })

  it('draws a new seed for each request that has none', async () => {
    start('x')
    await chat({})
    await chat({})
    const seeds = server.engine.requests.map(({ sampling }) => sampling.seed)
    expect(new Set(seeds).size).toBe(2)
  })

  it('gives n answers with seeds that follow one another, and counts all their tokens', async () => {
    start(({ sampling }) => Buffer.from(String(sampling.seed)))
    const body = (await chat({ n: 3, seed: 10 })).json()
    expect(body.choices.map((choice: { message: object }) => choice.message)).toMatchObject([
      { content: '10' },
      { content: '11' },
      { content: '12' },
    ])
    expect(body.usage.completion_tokens).toBe(6)
  })

  it('ends before a stop string that is spread over tokens, and cancels the rest', async () => {
    start('one two three')
    const body = (await chat({ stop: [' three', 'wo t'] })).json()
    expect(body.choices[0]).toMatchObject({ message: { content: 'one t' }, finish_reason: 'stop' })
    await server.engine.idle()
    expect(server.engine.numCancelled).toBe(1)
  })

  it('does not show the token that ended it', async () => {
    start('abcd')
    expect((await chat({ stop_token_ids: [99] })).json().choices[0].message.content).toBe('ab')
  })

  it('says length when the tokens run out, and shows a character cut in half as one mark', async () => {
    start('añb')
    expect((await chat({ max_completion_tokens: 2 })).json().choices[0]).toMatchObject({
      message: { content: 'a\u{fffd}' },
      finish_reason: 'length',
    })
  })

  it('reports the probability of each token and of its alternatives', async () => {
    start('ab')
    const { content } = (await chat({ logprobs: true, top_logprobs: 2, max_tokens: 2 })).json().choices[0]
      .logprobs
    expect(content).toMatchObject([
      {
        token: 'a',
        logprob: -0.5,
        bytes: [97],
        top_logprobs: [{ token: 'a' }, { token: 'b', logprob: -1.5 }],
      },
      { token: 'b' },
    ])
  })

  it('turns a failure of the engine into a 500 with its message', async () => {
    start(() => [65, new Error('The kernel failed.')])
    const response = await chat({})
    expect(response.statusCode).toBe(500)
    expect(response.json()).toMatchObject({ error: { message: 'The kernel failed.', type: 'server_error' } })
  })
})

describe('a completion', () => {
  it("has OpenAI's shape and 16 tokens at most by default", async () => {
    start('abcdefghijklmnopqrstuvwxyz')
    expect((await complete({})).json()).toMatchObject({
      object: 'text_completion',
      choices: [{ index: 0, text: 'abcdefghijklmnop', logprobs: null, finish_reason: 'length' }],
      usage: { prompt_tokens: 2, completion_tokens: 16 },
    })
  })

  it.each([
    ['text', 'Hi', [[72, 105]]],
    ['tokens', [72, 105], [[72, 105]]],
    ['several texts', ['H', 'i'], [[72], [105]]],
    ['several lists of tokens', [[72], [105]], [[72], [105]]],
  ])('takes %s as its prompt', async (_name, prompt, expected) => {
    start('x')
    const body = (await complete({ prompt })).json()
    expect(server.engine.requests.map(({ promptTokens }) => promptTokens)).toEqual(expected)
    expect(body.choices.map(({ index }: { index: number }) => index)).toEqual(
      expected.map((_, index) => index),
    )
  })

  it('tells the ids of its tokens when it is asked to', async () => {
    start('abc')
    const told = (await complete({ return_token_ids: true, max_tokens: 2 })).json()
    expect(told.choices[0]).toMatchObject({ text: 'ab', token_ids: [97, 98], logprobs: null })
    expect((await complete({})).json().choices[0]).not.toHaveProperty('token_ids')
  })

  it('reports probabilities with the offset of each token', async () => {
    start('abc')
    expect((await complete({ logprobs: 2, max_tokens: 3 })).json().choices[0].logprobs).toEqual({
      tokens: ['a', 'b', 'c'],
      token_logprobs: [-0.5, -0.5, -0.5],
      top_logprobs: [
        { a: -0.5, b: -1.5 },
        { b: -0.5, c: -1.5 },
        { c: -0.5, d: -1.5 },
      ],
      text_offset: [0, 1, 2],
    })
  })
})

describe('a request with a mistake', () => {
  const user = (content: unknown) => ({ messages: [{ role: 'user', content }] })
  it.each([
    ['temperature', { temperature: 'hot' }],
    ['messages', { messages: 'Hi' }],
    ['messages', { messages: [] }],
    ['messages', { messages: Array(101).fill(ask.messages[0]) }],
    ['messages[1]', { messages: [ask.messages[0], 5] }],
    ['messages[0].role', { messages: [{ role: 'robot', content: '' }] }],
    ['messages[0].content', user(5)],
    ['messages[0].content', user(null)],
    ['messages[0].content[1].type', user([{ type: 'text', text: 'a' }, { type: 'image_url' }])],
    ['messages[0].content', { messages: [{ role: 'assistant', content: null }] }],
    ['n', { n: 5 }],
    ['stop', { stop: Array(17).fill('a') }],
    ['stop[1]', { stop: ['a', 1] }],
    ['top_logprobs', { top_logprobs: 21, logprobs: true }],
    ['top_logprobs', { top_logprobs: 2 }],
    ['logit_bias.word', { logit_bias: { word: 1 } }],
    ['logit_bias', { logit_bias: { 258: 1 } }],
    ['stream_options.include_usage', { stream_options: { include_usage: 'yes' } }],
    ['tools[0].function.name', { tools: [{ type: 'function', function: {} }] }],
  ])('is told the field at fault: %s (%#)', async (param, fields) => {
    start('x')
    const response = await chat(fields)
    expect(response.statusCode).toBe(400)
    expect(response.json<ErrorBody>().error).toMatchObject({ param, type: 'invalid_request_error' })
    expect(response.json<ErrorBody>().error.message).not.toMatch(/undefined$|Invalid input$/)
  })

  it.each([
    ['prompt', { prompt: 5 }],
    ['prompt', { prompt: [] }],
    ['prompt', { prompt: '' }],
    ['prompt[1][1]', { prompt: [[72], [72, 'i']] }],
    ['prompt[2]', { prompt: ['a', 'b', 3] }],
    ['prompt', { prompt: [258] }],
    ['n', { prompt: ['a', 'b', 'c'], n: 2 }],
    ['echo', { echo: true }],
  ])('is told the field at fault of a completion: %s (%#)', async (param, fields) => {
    start('x')
    const response = await complete(fields)
    expect(response.statusCode).toBe(400)
    expect(response.json()).toMatchObject({ error: { param } })
  })

  it('is told by how many tokens its prompt is too long', async () => {
    start('x', { maxModelLen: 64 })
    const response = await complete({ prompt: 'a'.repeat(70) })
    expect(response.statusCode).toBe(400)
    const { error } = response.json<ErrorBody>()
    expect(error).toMatchObject({ code: 'context_length_exceeded', param: 'prompt' })
    expect(error.message).toContain('7 tokens too long')
    expect((await complete({ prompt: 'a'.repeat(63) })).statusCode).toBe(200)
  })

  it('is told that a model is not served; no model means the one that is', async () => {
    start('x')
    const response = await chat({ model: 'gpt-9' })
    expect(response.statusCode).toBe(404)
    expect(response.json()).toMatchObject({ error: { code: 'model_not_found', param: 'model' } })
    expect((await chat({ model: 'script' })).statusCode).toBe(200)
  })

  it.each([
    '{',
    'null',
    '[]',
    '"x"',
    '',
    '['.repeat(40_000),
    `{"a":${'['.repeat(40_000)}${']'.repeat(40_000)}}`,
  ])('is a 400 when its body is no request: %#', async (payload) => {
    start('x')
    const response = await post('/v1/chat/completions', payload)
    expect(response.statusCode).toBe(400)
    expect(response.json()).toMatchObject({ error: { type: 'invalid_request_error' } })
  })

  it.each([5_000, 15_000])('is a 400 and no overflow for arguments %i levels deep', async (depth) => {
    start('x')
    const parameters = `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`
    const tools = `[{"type":"function","function":{"name":"f","parameters":${parameters}}}]`
    const response = await post(
      '/v1/chat/completions',
      `{"messages":[{"role":"user","content":"Hi"}],"tools":${tools}}`,
    )
    expect([200, 400]).toContain(response.statusCode)
  })

  it.each([
    ['a type that is not JSON', { 'content-type': 'text/plain' }, 'x', 415],
    ['a body above the limit', {}, `"${'x'.repeat(100_001)}"`, 413],
  ])("is refused in OpenAI's shape for %s", async (_name, headers, payload, statusCode) => {
    start('x')
    const response = await post('/v1/chat/completions', payload, headers)
    expect(response.statusCode).toBe(statusCode)
    expect(response.json()).toMatchObject({ error: { code: expect.any(String) } })
  })

  it.each([
    ['GET', '/nowhere', 404],
    ['GET', '/v1/completions', 405],
    ['DELETE', '/v1/models', 405],
    ['GET', '/v1/models/other', 404],
    ['GET', '/%zz', 400],
  ] as const)("is refused in OpenAI's shape: %s %s", async (method, url, statusCode) => {
    start('x')
    const response = await server.app.inject({ method, url })
    expect(response.statusCode).toBe(statusCode)
    expect(response.json()).toMatchObject({ error: { type: 'invalid_request_error' } })
    expect(response.headers['x-request-id']).toBeDefined()
  })
})

describe('an API key', () => {
  it('is needed everywhere but for health, version and descriptions of the server', async () => {
    start('x', { apiKeys: [sharedKey(sha256('secret'))] })
    const get = (url: string, authorization = '') =>
      server.app.inject({ url, headers: { authorization } }).then(({ statusCode }) => statusCode)
    expect(await get('/v1/models')).toBe(401)
    expect(await get('/v1/models', 'Bearer secre')).toBe(401)
    expect(await get('/v1/models', 'secret')).toBe(401)
    expect(await get('/metrics')).toBe(401)
    expect(await get('/nowhere')).toBe(401)
    expect(await get('/v1/models', 'Bearer secret')).toBe(200)
    expect(await get('/health')).toBe(200)
    expect(await get('/version')).toBe(200)
    expect(await get('/docs')).toBe(200)
    expect(await get('/openapi.json')).toBe(200)
    expect(await get('/')).toBe(302)
    expect((await chat({})).json()).toMatchObject({ error: { code: 'invalid_api_key' } })
  })
})

describe('the server about itself', () => {
  it('lists its models and shows one', async () => {
    start('x', { servedModelNames: ['org/one', 'two'] })
    const list = (await server.app.inject('/v1/models')).json()
    expect(list.data).toMatchObject([{ id: 'org/one', max_model_len: 1024 }, { id: 'two' }])
    expect((await server.app.inject('/v1/models/org/one')).json()).toMatchObject({
      id: 'org/one',
      object: 'model',
    })
  })

  it('is unhealthy and takes no work until the model is loaded', async () => {
    start('x')
    server.engine.status = { state: 'loading', progress: 0.25 }
    const health = await server.app.inject('/health')
    expect([health.statusCode, health.json()]).toEqual([503, { status: 'loading', progress: 0.25 }])
    expect((await chat({})).statusCode).toBe(503)
    server.engine.status = { state: 'ready' }
    expect((await server.app.inject('/health')).statusCode).toBe(200)
  })

  it('tokenises a prompt, a chat and content, and gives the text back', async () => {
    start('x')
    expect((await post('/tokenize', { prompt: 'Hi' })).json()).toEqual({
      tokens: [72, 105],
      count: 2,
      max_model_len: 1024,
    })
    expect((await post('/tokenize', { content: 'Hi' })).json()).toMatchObject({ tokens: [72, 105] })
    const { tokens } = (await post('/tokenize', ask)).json()
    expect((await post('/detokenize', { tokens })).json()).toMatchObject({
      prompt: '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n',
    })
    expect((await post('/tokenize', {})).statusCode).toBe(400)
    expect((await post('/detokenize', { tokens: [258] })).json()).toMatchObject({
      error: { param: 'tokens' },
    })
    expect((await post('/detokenize', { tokens: [1, 'a'] })).json()).toMatchObject({
      error: { param: 'tokens[1]' },
    })
  })
})

describe('draining', () => {
  it('refuses new work and resolves when what is under way has been answered', async () => {
    start('Hello')
    server.engine.pause()
    const running = chat({})
    while (server.engine.numLive === 0) await new Promise(setImmediate)
    const ends: string[] = []
    const drained = Promise.all([server.drain(), server.drain()]).then(() => ends.push('drained'))
    const refused = await chat({})
    expect([refused.statusCode, refused.json().error.code]).toEqual([503, 'draining'])
    expect((await server.app.inject('/health')).statusCode).toBe(503)
    expect(ends).toEqual([])
    server.engine.resume()
    expect((await running).json().choices[0].message.content).toBe('Hello')
    await drained
  })
})
