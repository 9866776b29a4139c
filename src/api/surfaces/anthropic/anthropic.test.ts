import Anthropic from '@anthropic-ai/sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  bundledName,
  startBundledServer,
  type BundledServer,
} from '../../../../test/support/bundled-server.ts'

let server: BundledServer
let client: Anthropic

beforeAll(async () => {
  server = await startBundledServer()
  client = new Anthropic({ baseURL: server.url, apiKey: 'any', maxRetries: 0 })
})

afterAll(() => server.close())

const base = { model: bundledName, max_tokens: 60, temperature: 0 } as const
const repeat = { role: 'user', content: 'Repeat exactly: plum K7-42 lantern' } as const
const weather = {
  name: 'get_weather',
  description: 'Get the weather of a city.',
  input_schema: { type: 'object' as const, properties: { city: { type: 'string' } }, required: ['city'] },
}

describe("Anthropic's client", () => {
  it('gets a message', async () => {
    const message = await client.messages.create({ ...base, messages: [repeat] })
    expect(message).toMatchObject({
      id: expect.stringMatching(/^msg_/),
      type: 'message',
      role: 'assistant',
      model: bundledName,
      content: [{ type: 'text', text: 'plum K7-42 lantern' }],
      stop_reason: 'end_turn',
      stop_sequence: null,
    })
    expect(message.usage.output_tokens).toBeGreaterThan(3)
    expect(message._request_id).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('gets the events of a stream in their order, and the same message from them', async () => {
    const stream = client.messages.stream({ ...base, messages: [repeat] })
    const types: string[] = []
    stream.on('streamEvent', ({ type }) => types.push(type))
    const message = await stream.finalMessage()
    expect(message.content).toMatchObject([{ type: 'text', text: 'plum K7-42 lantern' }])
    expect(message.stop_reason).toBe('end_turn')
    expect(message.usage.input_tokens + (message.usage.cache_read_input_tokens ?? 0)).toBeGreaterThan(10)
    expect(types.slice(0, 2)).toStrictEqual(['message_start', 'content_block_start'])
    expect(types.slice(-3)).toStrictEqual(['content_block_stop', 'message_delta', 'message_stop'])
    expect(new Set(types.slice(2, -3))).toStrictEqual(new Set(['content_block_delta']))
  })

  it('calls a tool, is given its result, and answers with it, whole and streamed', async () => {
    const messages: Anthropic.MessageParam[] = [{ role: 'user', content: 'What is the weather in Oslo?' }]
    const ask = { ...base, tools: [weather], messages }
    const first = await client.messages.create(ask)
    expect(first.stop_reason).toBe('tool_use')
    const call = first.content.find((block) => block.type === 'tool_use')
    expect(call).toMatchObject({ name: 'get_weather', input: { city: 'Oslo' } })
    const streamed = await client.messages.stream(ask).finalMessage()
    expect(streamed.stop_reason).toBe('tool_use')
    expect(streamed.content).toMatchObject([
      { type: 'tool_use', name: 'get_weather', input: { city: 'Oslo' } },
    ])
    messages.push(
      { role: 'assistant', content: first.content },
      {
        role: 'user',
        content: [
          {
            type: 'tool_result',
            tool_use_id: call!.id,
            content: [{ type: 'text', text: '{"temperature": 17, "sky": "rain"}' }],
          },
        ],
      },
    )
    const second = await client.messages.create({ ...base, tools: [weather], messages })
    expect(second.stop_reason).toBe('end_turn')
    expect(second.content).toMatchObject([{ type: 'text', text: expect.stringContaining('17') }])
  })

  it('is told which stop sequence ended the answer, and that its tokens ran out', async () => {
    const count = [{ role: 'user' as const, content: 'Count from 1 to 40.' }]
    const stopped = await client.messages.create({ ...base, messages: count, stop_sequences: ['12', '7'] })
    expect(stopped).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence: '7' })
    const cut = await client.messages.create({ ...base, max_tokens: 5, messages: count })
    expect(cut).toMatchObject({ stop_reason: 'max_tokens', usage: { output_tokens: 5 } })
  })

  it('counts the tokens that a message then has', async () => {
    const prompt = { model: bundledName, system: 'You are terse.', messages: [repeat], tools: [weather] }
    const { input_tokens: counted } = await client.messages.countTokens(prompt)
    const { usage } = await client.messages.create({ ...base, ...prompt })
    expect(usage.input_tokens + (usage.cache_read_input_tokens ?? 0)).toBe(counted)
  })

  it('reads the prefix cache though an attribution line changes with every request', async () => {
    const system = (line: string) => [
      { type: 'text' as const, text: line },
      {
        type: 'text' as const,
        text: `The code for Oslo is 4821.\nThe code for Lima is 7733.\n${'The harbour is calm. '.repeat(20)}`,
        cache_control: { type: 'ephemeral' as const },
      },
    ]
    const ask = (line: string) =>
      client.messages.create({ ...base, max_tokens: 4, system: system(line), messages: [repeat] })
    const first = await ask(
      'x-anthropic-billing-header: cc_version=2.1.37.f8f; cc_entrypoint=cli; cch=00000;',
    )
    const second = await ask(
      'x-anthropic-billing-header: cc_version=2.1.37.1c2; cc_entrypoint=cli; cch=a19f2;',
    )
    const total = first.usage.input_tokens + (first.usage.cache_read_input_tokens ?? 0)
    expect(total).toBeGreaterThan(100)
    expect(second.usage.cache_read_input_tokens).toBe(total - 1)
    expect(second.usage.input_tokens).toBe(1)
  })

  it('gets JSON of the schema that it asks for', async () => {
    const schema = {
      type: 'object',
      properties: { age: { type: 'integer', minimum: 40 }, name: { enum: ['Ada', 'Bob'] } },
      required: ['age', 'name'],
      additionalProperties: false,
    }
    const output_config = { format: { type: 'json_schema' as const, schema } }
    const { content } = await client.messages.create({ ...base, messages: [repeat], output_config })
    const { age, name } = JSON.parse((content[0] as Anthropic.TextBlock).text) as {
      age: number
      name: string
    }
    expect(age).toBeGreaterThanOrEqual(40)
    expect(['Ada', 'Bob']).toContain(name)
  })

  it('lists the models in its own form', async () => {
    const models: Anthropic.ModelInfo[] = []
    for await (const model of client.models.list()) models.push(model)
    expect(models).toMatchObject([{ type: 'model', id: bundledName, created_at: expect.any(String) }])
    expect(await client.models.retrieve(bundledName)).toMatchObject({ display_name: bundledName })
    await expect(client.models.retrieve('other')).rejects.toMatchObject({ error: { type: 'error' } })
  })

  it("gets errors in Anthropic's shape, as the classes it has for them", async () => {
    const asked = client.messages.create({ ...base, max_tokens: 0, messages: [repeat] })
    await expect(asked).rejects.toMatchObject({
      status: 400,
      error: {
        type: 'error',
        error: { type: 'invalid_request_error', message: expect.stringContaining('max_tokens') },
      },
    })
    await expect(client.messages.create({ ...base, model: 'other', messages: [repeat] })).rejects.toThrow(
      Anthropic.NotFoundError,
    )
    const image = { type: 'image', source: { type: 'url', url: 'https://example.org/a.png' } } as const
    await expect(
      client.messages.create({ ...base, messages: [{ role: 'user', content: [image] }] }),
    ).rejects.toThrow(/text only/)
    const long = 'harbour '.repeat(4000)
    await expect(
      client.messages.create({ ...base, messages: [{ role: 'user', content: long }] }),
    ).rejects.toThrow(Anthropic.BadRequestError)
    const nothing = await fetch(`${server.url}/v1/messages/nothing`)
    expect(await nothing.json()).toMatchObject({ type: 'error', error: { type: 'not_found_error' } })
  })

  it('ends the sequence when it aborts a stream', async () => {
    const stream = client.messages.stream({
      ...base,
      max_tokens: 1500,
      messages: [{ role: 'user', content: 'Tell me a long story about Otto the old crane.' }],
    })
    stream.once('text', () => stream.abort())
    await expect(stream.finalMessage()).rejects.toThrow(Anthropic.APIUserAbortError)
    await server.isIdle()
  })
})

describe('a server with keys', () => {
  it('takes them from x-api-key and from Authorization', async () => {
    const { sha256 } = await import('../../key-ring.ts')
    const { sharedKey } = await import('../../../core/tenant.ts')
    const closed = await startBundledServer({ apiKeys: [sharedKey(sha256('secret'))] })
    const ask = (options: { apiKey?: string | null; authToken?: string }) =>
      new Anthropic({ baseURL: closed.url, maxRetries: 0, apiKey: null, ...options }).messages.create({
        ...base,
        messages: [repeat],
      })
    expect(await ask({ apiKey: 'secret' })).toMatchObject({ stop_reason: 'end_turn' })
    expect(await ask({ authToken: 'secret' })).toMatchObject({ stop_reason: 'end_turn' })
    await expect(ask({ apiKey: 'guess' })).rejects.toThrow(Anthropic.AuthenticationError)
    await closed.close()
  })
})
