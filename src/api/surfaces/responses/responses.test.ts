import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  bundledName,
  startBundledServer,
  type BundledServer,
} from '../../../../test/support/bundled-server.ts'

let server: BundledServer
let client: OpenAI

beforeAll(async () => {
  server = await startBundledServer({ responseStoreBytes: 40_000 })
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'any', maxRetries: 0 })
})

afterAll(() => server.close())

const base = { model: bundledName, temperature: 0, max_output_tokens: 60 } as const
const weather = {
  type: 'function' as const,
  name: 'get_weather',
  description: 'Get the weather of a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  strict: null,
}

describe("OpenAI's client", () => {
  it('gets a response', async () => {
    const response = await client.responses.create({
      ...base,
      input: 'Repeat exactly: plum K7-42 lantern',
      instructions: 'Be terse.',
    })
    expect(response.output_text).toBe('plum K7-42 lantern')
    expect(response).toMatchObject({
      id: expect.stringMatching(/^resp_/),
      object: 'response',
      status: 'completed',
      instructions: 'Be terse.',
      output: [{ type: 'message', role: 'assistant', status: 'completed' }],
      store: true,
      error: null,
      incomplete_details: null,
    })
    const { input_tokens: input, output_tokens: output, total_tokens: total } = response.usage!
    expect(input).toBeGreaterThan(10)
    expect(total).toBe(input + output)
  })

  it('gets the official events in their order, numbered, and the same response from them', async () => {
    const stream = client.responses.stream({ ...base, input: 'Repeat exactly: plum K7-42 lantern' })
    const types: string[] = []
    const numbers: number[] = []
    stream.on('event', (event) => {
      types.push(event.type)
      numbers.push(event.sequence_number)
    })
    const response = await stream.finalResponse()
    expect(response.output_text).toBe('plum K7-42 lantern')
    expect(types.filter((type) => type !== 'response.output_text.delta')).toStrictEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    expect(types.indexOf('response.output_text.delta')).toBe(4)
    expect(numbers).toStrictEqual(numbers.map((_, index) => index))
  })

  it('continues a response that was stored, and reads its prompt from the cache', async () => {
    const first = await client.responses.create({ ...base, input: 'My name is Ada and my code is 4821.' })
    const second = await client.responses.create({
      ...base,
      input: 'What is my code?',
      previous_response_id: first.id,
    })
    expect(second.output_text).toContain('4821')
    expect(second.previous_response_id).toBe(first.id)
    expect(second.usage!.input_tokens_details.cached_tokens).toBeGreaterThan(first.usage!.input_tokens)
    const third = await client.responses.create({
      ...base,
      input: 'And my name?',
      previous_response_id: second.id,
    })
    expect(third.usage!.input_tokens).toBeGreaterThan(second.usage!.input_tokens)
  })

  it('finds a response and its input again, until it deletes it', async () => {
    const input = [
      { role: 'user' as const, content: 'Hello!' },
      { role: 'assistant' as const, content: 'Hi.' },
      { role: 'user' as const, content: 'Repeat exactly: amber' },
    ]
    const made = await client.responses.create({ ...base, input })
    const found = await client.responses.retrieve(made.id)
    expect(found.output).toStrictEqual(made.output)
    const listed = await client.responses.inputItems.list(made.id, { order: 'asc' })
    expect(listed.data).toMatchObject([
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hello!' }] },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Hi.' }] },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Repeat exactly: amber' }] },
    ])
    const paged: unknown[] = []
    for await (const item of client.responses.inputItems.list(made.id, { limit: 1 })) paged.push(item)
    expect(paged).toStrictEqual(listed.data.toReversed())
    await client.responses.delete(made.id)
    await expect(client.responses.retrieve(made.id)).rejects.toThrow(OpenAI.NotFoundError)
    await expect(client.responses.delete(made.id)).rejects.toThrow(OpenAI.NotFoundError)
  })

  it('keeps nothing of a response that is not to be stored', async () => {
    const made = await client.responses.create({ ...base, input: 'Hello!', store: false })
    await expect(client.responses.retrieve(made.id)).rejects.toThrow(OpenAI.NotFoundError)
    const going = client.responses.create({ ...base, input: 'Hello!', previous_response_id: made.id })
    await expect(going).rejects.toMatchObject({ status: 404, param: 'previous_response_id' })
  })

  it('forgets the oldest responses when there are too many', async () => {
    const first = await client.responses.create({ ...base, input: 'Hello!' })
    const long = 'harbour '.repeat(200)
    for (let count = 0; count < 8; count++)
      await client.responses.create({ ...base, max_output_tokens: 1, input: long })
    await expect(client.responses.retrieve(first.id)).rejects.toThrow(OpenAI.NotFoundError)
  })

  it('calls a function, is given its output, and answers with it, whole and streamed', async () => {
    const ask = { ...base, tools: [weather], input: 'What is the weather in Oslo?' }
    const first = await client.responses.create(ask)
    const call = first.output.find((item) => item.type === 'function_call')!
    expect(call).toMatchObject({ name: 'get_weather', status: 'completed' })
    expect(JSON.parse(call.arguments)).toStrictEqual({ city: 'Oslo' })
    const stream = client.responses.stream(ask)
    const types: string[] = []
    stream.on('event', ({ type }) => types.push(type))
    const streamed = await stream.finalResponse()
    expect(streamed.output).toMatchObject([
      { type: 'function_call', name: 'get_weather', arguments: call.arguments },
    ])
    expect(types).toContain('response.function_call_arguments.delta')
    expect(types.slice(-3)).toStrictEqual([
      'response.function_call_arguments.done',
      'response.output_item.done',
      'response.completed',
    ])
    const second = await client.responses.create({
      ...base,
      tools: [weather],
      previous_response_id: first.id,
      input: [
        { type: 'function_call_output', call_id: call.call_id, output: '{"temperature": 17, "sky": "rain"}' },
      ],
    })
    expect(second.output_text).toContain('17')
  })

  it('gets JSON of the schema that it asks for, whole and streamed', async () => {
    const schema = {
      type: 'object',
      properties: { age: { type: 'integer', minimum: 40 }, name: { enum: ['Ada', 'Bob'] } },
      required: ['age', 'name'],
      additionalProperties: false,
    }
    const text = { format: { type: 'json_schema' as const, name: 'person', schema, strict: true } }
    const ask = { ...base, input: 'Reply in JSON with name and age: Ada, 36', text }
    for (const response of [
      await client.responses.create(ask),
      await client.responses.stream(ask).finalResponse(),
    ]) {
      const { age, name } = JSON.parse(response.output_text) as { age: number; name: string }
      expect(age).toBeGreaterThanOrEqual(40)
      expect(['Ada', 'Bob']).toContain(name)
    }
  })

  it('ends the sequence when it aborts a stream', async () => {
    const input = 'Tell me a long story about Otto the old crane.'
    const stream = await client.responses.create({ ...base, max_output_tokens: 1500, input, stream: true })
    for await (const event of stream) if (event.type === 'response.output_text.delta') break
    await server.isIdle()
  })

  it('counts the tokens that a response then has', async () => {
    const prompt = {
      model: bundledName,
      input: 'Count from 1 to 9.',
      instructions: 'Be terse.',
      tools: [weather],
    }
    const counted = await client.responses.inputTokens.count(prompt)
    const response = await client.responses.create({ ...base, ...prompt })
    expect(response.usage!.input_tokens).toBe(counted.input_tokens)
  })

  it('is told that an answer was cut', async () => {
    const response = await client.responses.create({
      ...base,
      max_output_tokens: 4,
      input: 'Count from 1 to 40.',
    })
    expect(response).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
    })
    const stream = client.responses.stream({ ...base, max_output_tokens: 4, input: 'Count from 1 to 40.' })
    expect(await stream.finalResponse()).toMatchObject({ status: 'incomplete' })
  })

  it('is told what is wrong with a request', async () => {
    const send = (fields: object) =>
      client.responses.create({
        ...base,
        input: 'Hi',
        ...fields,
      } as OpenAI.Responses.ResponseCreateParamsNonStreaming)
    await expect(send({ background: true })).rejects.toMatchObject({ status: 400, param: 'background' })
    await expect(send({ input: [] })).rejects.toMatchObject({ status: 400, param: 'input' })
    await expect(send({ input: [{ type: 'item_reference', id: 'x' }] })).rejects.toMatchObject({
      status: 400,
      param: 'input[0].type',
    })
    await expect(send({ tools: [{ type: 'web_search' }] })).rejects.toMatchObject({
      status: 400,
      param: 'tools[0].type',
    })
    await expect(send({ conversation: 'conv_1' })).rejects.toMatchObject({
      status: 400,
      param: 'conversation',
    })
  })
})
