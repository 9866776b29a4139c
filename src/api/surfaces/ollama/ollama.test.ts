import { Ollama, type Message } from 'ollama'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  bundledName,
  startBundledServer,
  type BundledServer,
} from '../../../../test/support/bundled-server.ts'

let server: BundledServer
let client: Ollama

beforeAll(async () => {
  server = await startBundledServer()
  client = new Ollama({ host: server.url })
})

afterAll(() => server.close())

const model = bundledName
const options = { temperature: 0, num_predict: 40 }
const messages = [{ role: 'user', content: 'Repeat exactly: plum K7-42 lantern' }]

describe("Ollama's client", () => {
  it('chats, and is told counts and durations in nanoseconds', async () => {
    const answer = await client.chat({ model, messages, options })
    expect(answer.message).toStrictEqual({ role: 'assistant', content: 'plum K7-42 lantern' })
    expect(answer).toMatchObject({ model, done: true, done_reason: 'stop' })
    expect(answer.eval_count).toBeGreaterThan(3)
    expect(answer.prompt_eval_count).toBeGreaterThan(10)
    expect(answer.eval_duration).toBeGreaterThan(1000)
    expect(answer.total_duration).toBeGreaterThanOrEqual(answer.eval_duration + answer.prompt_eval_duration)
  })

  it('gets the same text in pieces when it streams', async () => {
    let text = ''
    const ends: boolean[] = []
    for await (const part of await client.chat({ model, messages, options, stream: true })) {
      text += part.message.content
      ends.push(part.done)
    }
    expect(text).toBe('plum K7-42 lantern')
    expect(ends.length).toBeGreaterThan(3)
    expect(ends.indexOf(true)).toBe(ends.length - 1)
  })

  it('generates behind a system text, raw, and says why it stopped', async () => {
    const { response } = await client.generate({
      model,
      prompt: 'Repeat exactly: amber',
      system: 'Be short.',
      options,
    })
    expect(response).toBe('amber')
    const raw = await client.generate({
      model,
      prompt: '1, 2, 3, 4,',
      raw: true,
      options: { ...options, num_predict: 6 },
    })
    expect(raw.response).toMatch(/^ 5, 6/)
    expect(raw.done_reason).toBe('length')
    const stopped = await client.generate({
      model,
      prompt: 'Count from 1 to 9.',
      options: { ...options, stop: ['5'] },
    })
    expect(stopped.response).toMatch(/4\D*$/)
    expect(stopped.done_reason).toBe('stop')
  })

  it('finds the model listed, described and loaded', async () => {
    const { models } = await client.list()
    expect(models).toMatchObject([
      {
        name: model,
        size: 3_134_848,
        details: { format: 'gguf', family: 'llama', parameter_size: '2.89M', quantization_level: 'Q8_0' },
      },
    ])
    expect(models[0]?.digest).toMatch(/^[0-9a-f]{64}$/)
    const shown = await client.show({ model: `${model}:latest` })
    expect(shown.capabilities).toStrictEqual(['completion', 'tools'])
    expect(shown.model_info).toMatchObject({ 'general.architecture': 'llama', 'llama.context_length': 2048 })
    expect(shown.template).toContain('<|im_start|>')
    expect((await client.ps()).models).toMatchObject([{ name: model, context_length: 2048 }])
    expect((await client.version()).version).toMatch(/^\d+\.\d+\.\d+$/)
  })

  it('is told at once that the model is loaded when it asks for nothing', async () => {
    expect(await client.generate({ model, prompt: '' })).toMatchObject({
      done: true,
      done_reason: 'load',
      response: '',
    })
    expect(await client.chat({ model, messages: [] })).toMatchObject({ done: true, done_reason: 'load' })
  })

  it("gets errors in Ollama's shape", async () => {
    await expect(client.chat({ model: 'other', messages })).rejects.toMatchObject({
      status_code: 404,
      message: expect.stringContaining("'other' does not exist"),
    })
    await expect(client.chat({ model, messages: [{ role: 'nobody', content: '' }] })).rejects.toMatchObject({
      status_code: 400,
      message: expect.stringContaining('messages[0].role'),
    })
    const missing = await fetch(`${server.url}/api/pull`, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json' },
    })
    expect([missing.status, await missing.json()]).toStrictEqual([
      404,
      { error: 'There is nothing at /api/pull.' },
    ])
  })

  it('calls a tool, is given its result, and answers with it, whole and streamed', async () => {
    const tools = [
      {
        type: 'function',
        function: {
          name: 'get_weather',
          description: 'Get the weather of a city.',
          parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
        },
      },
    ]
    const asked: Message[] = [{ role: 'user', content: 'What is the weather in Oslo?' }]
    const ask = { model, options, tools, messages: asked }
    const { message } = await client.chat(ask)
    expect(message.tool_calls).toMatchObject([
      { function: { name: 'get_weather', arguments: { city: 'Oslo' } } },
    ])
    const calls: unknown[] = []
    for await (const part of await client.chat({ ...ask, stream: true }))
      calls.push(...(part.message.tool_calls ?? []))
    expect(calls).toMatchObject([{ function: { name: 'get_weather', arguments: { city: 'Oslo' } } }])
    const result = { role: 'tool', tool_name: 'get_weather', content: '{"temperature": 17, "sky": "rain"}' }
    const answer = await client.chat({ ...ask, messages: [...asked, message, result] })
    expect(answer.message.content).toContain('17')
  })

  it('gets JSON of the schema that it asks for', async () => {
    const format = {
      type: 'object',
      properties: { age: { type: 'integer', minimum: 40 }, name: { enum: ['Ada', 'Bob'] } },
      required: ['age', 'name'],
      additionalProperties: false,
    }
    const { message } = await client.chat({
      model,
      messages,
      options: { ...options, num_predict: 80 },
      format,
    })
    const { age, name } = JSON.parse(message.content) as { age: number; name: string }
    expect(age).toBeGreaterThanOrEqual(40)
    expect(['Ada', 'Bob']).toContain(name)
  })

  it('is told the probabilities of tokens', async () => {
    const { logprobs } = await client.chat({ model, messages, options, logprobs: true, top_logprobs: 2 })
    expect(logprobs?.map(({ token }) => token).join('')).toContain('plum K7-42 lantern')
    expect(logprobs?.[0]?.top_logprobs).toHaveLength(2)
  })

  it('ends the sequence when it aborts a stream', async () => {
    const prompt = 'Tell me a long story about Otto the old crane.'
    const stream = await client.generate({ model, prompt, stream: true })
    const read = async () => {
      for await (const _ of stream) stream.abort()
    }
    await expect(read()).rejects.toThrow()
    await server.isIdle()
  })
})
