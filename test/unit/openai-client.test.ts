/** The official client against the whole server: bundled model, engine in this process, real HTTP on loopback. */
import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '../../src/api/key-ring.ts'
import { createServer, type ApiServer } from '../../src/api/server.ts'
import { defaultServiceClasses } from '../../src/core/service-class.ts'
import { sharedKey } from '../../src/core/tenant.ts'
import { InProcessClient } from '../../src/engine/in-process-client.ts'
import { systemClock } from '../../src/engine/system-clock.ts'
import { createChatTemplate } from '../../src/text/chat-template.ts'
import { openLlamaTokenizer } from '../../src/text/llama-tokenizer.ts'
import { amplyAdmitting } from '../support/api-server.ts'
import { logExercises } from '../support/exercise-log.ts'
import { testExecutorOptions } from '../support/single-sequence.ts'

const modelPath = 'models/yardling/yardling-q8_0.gguf'

let engine: InProcessClient
let server: ApiServer
let client: OpenAI
let baseURL: string

beforeAll(async () => {
  engine = new InProcessClient({
    executor: { ...testExecutorOptions, numThreads: 1, modelPath },
    scheduler: { maxNumSeqs: 16, maxNumBatchedTokens: 256, maxTbtMs: undefined, policy: 'fcfs' },
  })
  const tokenizer = openLlamaTokenizer(modelPath)
  server = createServer({
    engine,
    tokenizer,
    chat: createChatTemplate(tokenizer.chatTemplate, tokenizer),
    clock: systemClock,
    config: {
      servedModelNames: ['yardling'],
      apiKeys: [sharedKey(sha256('secret'))],
      serviceClasses: defaultServiceClasses,
      refuseLate: false,
      admission: amplyAdmitting,
      maxTimelines: 10,
      maxBodyBytes: 1_000_000,
      responseStoreBytes: 0,
      maxMessages: 100,
      maxChoices: 8,
    },
    version: '0.0.0',
    logLevel: 'silent',
  })
  logExercises(server.app)
  await server.app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.app.server.address() as AddressInfo
  baseURL = `http://127.0.0.1:${port}`
  client = new OpenAI({ apiKey: 'secret', baseURL: `${baseURL}/v1`, maxRetries: 0 })
  await engine.ready()
})

afterAll(async () => {
  await server.close()
  await engine.close()
})

const ask = (content: string) => ({
  model: 'yardling',
  messages: [{ role: 'user' as const, content }],
  max_tokens: 100,
  temperature: 0,
})

async function idle(): Promise<void> {
  while (engine.stats?.numRunning !== 0 || engine.stats.numWaiting !== 0) {
    await new Promise<void>((resolve) => {
      const stop = engine.onStep(() => {
        stop()
        resolve()
      })
      setTimeout(resolve, 50)
    })
  }
}

describe('chat completions', () => {
  it('answer what the model knows', async () => {
    const completion = await client.chat.completions.create(ask('Repeat exactly: plum K7-42 lantern'))
    expect(completion.choices[0]?.message.content).toBe('plum K7-42 lantern')
    expect(completion.choices[0]?.finish_reason).toBe('stop')
    expect(completion.usage?.total_tokens).toBe(
      (completion.usage?.prompt_tokens ?? 0) + (completion.usage?.completion_tokens ?? 0),
    )
    expect(completion).toMatchObject({ timings: { predicted_n: completion.usage?.completion_tokens } })
  })

  it('stream the same text, with usage at the end when asked for', async () => {
    const whole = await client.chat.completions.create(ask('Count from 1 to 12.'))
    const stream = await client.chat.completions.create({
      ...ask('Count from 1 to 12.'),
      stream: true,
      stream_options: { include_usage: true },
    })
    let text = ''
    let usage: OpenAI.CompletionUsage | undefined
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      usage = chunk.usage ?? usage
    }
    expect(text).toBe(whole.choices[0]?.message.content)
    expect(usage).toEqual(whole.usage)
  })

  it('remember what was said, several conversations at a time', async () => {
    const names = ['Ada', 'Grace', 'Otto', 'Nina']
    const answers = await Promise.all(
      names.map((name) =>
        client.chat.completions.create({
          ...ask('What is my name?'),
          messages: [
            { role: 'user', content: `My name is ${name}.` },
            { role: 'assistant', content: `Nice to meet you, ${name}!` },
            { role: 'user', content: 'What is my name?' },
          ],
        }),
      ),
    )
    answers.forEach((answer, index) => expect(answer.choices[0]?.message.content).toContain(names[index]))
  })

  it('give n samples, and the same ones again for the same seed', async () => {
    const create = () =>
      client.chat.completions.create({
        ...ask('Tell me a story.'),
        temperature: 1,
        seed: 7,
        n: 3,
        max_tokens: 20,
      })
    const [first, second] = await Promise.all([create(), create()])
    const texts = first.choices.map(({ message }) => message.content)
    expect(new Set(texts).size).toBeGreaterThan(1)
    expect(second.choices.map(({ message }) => message.content)).toEqual(texts)
  })

  it('end before a stop string', async () => {
    const { choices } = await client.chat.completions.create({ ...ask('Count from 1 to 20.'), stop: [' 7'] })
    expect(choices[0]?.message.content).toMatch(/6,?$/)
    expect(choices[0]?.finish_reason).toBe('stop')
  })

  it('report the probabilities of tokens', async () => {
    const { choices } = await client.chat.completions.create({
      ...ask('Count from 1 to 5.'),
      logprobs: true,
      top_logprobs: 3,
    })
    const content = choices[0]?.logprobs?.content ?? []
    expect(content.length).toBeGreaterThan(5)
    for (const { logprob, top_logprobs: top } of content) {
      expect(logprob).toBeLessThanOrEqual(0)
      expect(top).toHaveLength(3)
      expect(top[0]?.logprob).toBe(logprob)
    }
  })

  it('stop computing when the client goes away', async () => {
    const stream = await client.chat.completions.create({
      ...ask('Tell me a long story about Otto the old crane.'),
      max_tokens: 1500,
      stream: true,
    })
    for await (const _ of stream) break
    await idle()
    expect(engine.stats?.numFreeBlocks).toBe(engine.stats?.numBlocks)
  })
})

describe('completions', () => {
  it('continue text, and tokens', async () => {
    const text = await client.completions.create({
      model: 'yardling',
      prompt: '1, 2, 3, 4,',
      max_tokens: 6,
      temperature: 0,
    })
    expect(text.choices[0]?.text).toContain('5')
    const response = await fetch(`${baseURL}/tokenize`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer secret' },
      body: JSON.stringify({ prompt: '1, 2, 3, 4,' }),
    })
    const { tokens } = (await response.json()) as { tokens: number[] }
    const again = await client.completions.create({
      model: 'yardling',
      prompt: tokens,
      max_tokens: 6,
      temperature: 0,
      logprobs: 2,
    })
    expect(again.choices[0]?.text).toBe(text.choices[0]?.text)
    expect(again.choices[0]?.logprobs?.tokens?.length).toBe(6)
  })
})

describe('errors', () => {
  it.each([
    [{ ...ask('x'), temperature: 'hot' }, 400, 'temperature'],
    [{ ...ask('x'), messages: [{ role: 'user', content: 5 }] }, 400, 'messages[0].content'],
    [{ ...ask('x'), messages: [{ role: 'robot', content: '' }] }, 400, 'messages[0].role'],
    [{ ...ask('x'), n: 9 }, 400, 'n'],
    [{ ...ask('x'), model: 'gpt-9' }, 404, 'model'],
    [{ ...ask('word '.repeat(3000)) }, 400, 'messages'],
  ])('name the field at fault: %#', async (body, status, param) => {
    const failed = client.chat.completions.create(body as OpenAI.ChatCompletionCreateParamsNonStreaming)
    await expect(failed).rejects.toMatchObject({ status, param })
  })

  it("are OpenAI's for bodies that are no requests", async () => {
    const post = (body: string, type = 'application/json') =>
      fetch(`${baseURL}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': type, authorization: 'Bearer secret' },
        body,
      })
    const bodies = [
      '{',
      '[]',
      'null',
      '"x"',
      `${'['.repeat(50_000)}`,
      '{"messages":[]}',
      '\ud800',
      '{"messages":{"a":1}}',
    ]
    for (const body of bodies) {
      const response = await post(body)
      expect(response.status, body.slice(0, 20)).toBe(400)
      expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error' } })
    }
    expect((await post('x=1', 'text/plain')).status).toBe(415)
    expect((await post(`"${'x'.repeat(1_100_000)}"`)).status).toBe(413)
  })

  it('hear out too large a body, so that who is still sending gets the answer', async () => {
    const { hostname, port } = new URL(baseURL)
    const socket = connect(Number(port), hostname)
    const body = Buffer.alloc(30_000_000, 'x')
    const head = [
      'POST /v1/completions HTTP/1.1',
      'host: here',
      'authorization: Bearer secret',
      'content-type: application/json',
      `content-length: ${body.length}`,
    ]
    socket.write(`${head.join('\r\n')}\r\n\r\n`)
    // Nothing is read before everything is sent, as simple clients do.
    const failure = await new Promise((resolve) => socket.write(body, resolve))
    expect(failure ?? undefined).toBeUndefined()
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(String(answer)).toMatch(/^HTTP\/1\.1 413 /)
    socket.destroy()
  })

  it('refuse a wrong key, an unknown path and a wrong method', async () => {
    const stranger = new OpenAI({ apiKey: 'guess', baseURL: `${baseURL}/v1`, maxRetries: 0 })
    await expect(stranger.models.list()).rejects.toMatchObject({ status: 401 })
    const headers = { authorization: 'Bearer secret' }
    expect((await fetch(`${baseURL}/nowhere`, { headers })).status).toBe(404)
    expect((await fetch(`${baseURL}/v1/completions`, { headers })).status).toBe(405)
  })
})

describe('the server about itself', () => {
  it("lists the model, is healthy, and shows metrics under vLLM's names", async () => {
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['yardling'])
    expect((await fetch(`${baseURL}/health`)).status).toBe(200)
    const response = await fetch(`${baseURL}/metrics`, { headers: { authorization: 'Bearer secret' } })
    const text = await response.text()
    for (const name of [
      'vllm:num_requests_running',
      'vllm:num_requests_waiting',
      'vllm:kv_cache_usage_perc',
      'vllm:num_preemptions_total',
      'vllm:prompt_tokens_total',
      'vllm:generation_tokens_total',
      'vllm:time_to_first_token_seconds_bucket',
      'vllm:inter_token_latency_seconds_bucket',
      'vllm:e2e_request_latency_seconds_bucket',
      'vllm:request_queue_time_seconds_bucket',
      'vllm:iteration_tokens_total_bucket',
      'switchyard_step_seconds_bucket',
    ]) {
      expect(text).toContain(name)
    }
  })

  it('refuses new work while it drains', async () => {
    await server.drain()
    await expect(client.chat.completions.create(ask('x'))).rejects.toMatchObject({ status: 503 })
  })
})
