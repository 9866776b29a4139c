/** Tools with the bundled model, driven by the clients that people use: OpenAI's own and Vercel's AI SDK. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { APICallError, generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundledName, startBundledServer, type BundledServer } from '../support/bundled-server.ts'

let server: BundledServer
let openai: OpenAI
let yardling: ReturnType<ReturnType<typeof createOpenAICompatible>['chatModel']>

beforeAll(async () => {
  server = await startBundledServer()
  const baseURL = `${server.url}/v1`
  openai = new OpenAI({ apiKey: 'none', baseURL, maxRetries: 0 })
  yardling = createOpenAICompatible({ name: 'switchyard', baseURL, includeUsage: true }).chatModel(
    bundledName,
  )
})

afterAll(() => server.close())

const functionTool = (name: string, description: string, properties: Record<string, { type: string }>) => ({
  type: 'function' as const,
  function: {
    name,
    description,
    parameters: { type: 'object', properties, required: Object.keys(properties) },
  },
})
const weatherTool = functionTool('get_weather', 'Get the weather of a city', { city: { type: 'string' } })
const addTool = functionTool('add', 'Add two numbers', { a: { type: 'integer' }, b: { type: 'integer' } })
const base = { model: bundledName, temperature: 0, max_tokens: 120 }
const user = (content: string) => [{ role: 'user' as const, content }]

/** What the tools of these tests say, with the spaces that the model was taught. */
function resultOf(name: string, args: string): string {
  const given = JSON.parse(args) as { city?: string; a?: number; b?: number }
  if (name === 'add') return `{"result": ${(given.a ?? 0) + (given.b ?? 0)}}`
  return `{"city": "${given.city ?? ''}", "temperature": 7, "sky": "cloudy"}`
}

/** Answers calls until the model has none. */
async function converse(question: string, tools: OpenAI.ChatCompletionTool[]) {
  const messages: OpenAI.ChatCompletionMessageParam[] = user(question)
  const completions: OpenAI.ChatCompletion[] = []
  for (let turn = 0; turn < 4; turn++) {
    const completion = await openai.chat.completions.create({ ...base, messages, tools })
    completions.push(completion)
    const message = completion.choices[0]!.message
    messages.push(message)
    if (message.tool_calls === undefined) break
    for (const call of message.tool_calls) {
      if (call.type !== 'function') continue
      const content = resultOf(call.function.name, call.function.arguments)
      messages.push({ role: 'tool', tool_call_id: call.id, content })
    }
  }
  return completions
}

describe("OpenAI's client", () => {
  it('goes round the loop: question, call, result, answer', async () => {
    const completions = await converse('What is the weather in Oslo?', [weatherTool, addTool])
    expect(completions.map(({ choices }) => choices[0]?.finish_reason)).toEqual(['tool_calls', 'stop'])
    expect(completions[0]?.choices[0]?.message).toMatchObject({
      content: null,
      tool_calls: [{ function: { name: 'get_weather', arguments: '{"city": "Oslo"}' } }],
    })
    expect(completions[1]?.choices[0]?.message.content).toBe('In Oslo it is 7 degrees and cloudy.')
  })

  it('finds the first turn in the cache when it comes back with the result', async () => {
    const [first, second] = await converse('Use the tool to add 17 and 25.', [weatherTool, addTool])
    const { prompt_tokens: numPrompt = 0, completion_tokens: numAnswer = 0 } = first?.usage ?? {}
    expect(second?.choices[0]?.message.content).toBe('The result is 42.')
    // All but the last block, which the turn did not fill.
    expect(second?.usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(numPrompt + numAnswer - 20)
  })

  it('streams the same calls', async () => {
    const request = { ...base, messages: user('Add 312 and 45 with the tool.'), tools: [addTool] }
    const whole = await openai.chat.completions.create(request)
    const runner = openai.chat.completions.stream(request)
    const pieces: string[] = []
    runner.on('tool_calls.function.arguments.delta', ({ arguments_delta: delta }) => pieces.push(delta))
    const streamed = await runner.finalChatCompletion()
    const [call] = streamed.choices[0]?.message.tool_calls ?? []
    expect(call).toMatchObject({ type: 'function', function: { name: 'add' } })
    expect(call).toMatchObject({
      function: {
        arguments: whole.choices[0]?.message.tool_calls?.map(
          (one) => 'function' in one && one.function.arguments,
        )[0],
      },
    })
    expect(pieces.length).toBeGreaterThan(3)
    expect(streamed.choices[0]?.finish_reason).toBe('tool_calls')
  })

  it('runs tools by itself', async () => {
    const runner = openai.chat.completions.runTools({
      ...base,
      messages: user('What is the weather in Bergen?'),
      tools: [
        {
          type: 'function',
          function: {
            ...weatherTool.function,
            parse: JSON.parse,
            function: ({ city }: { city: string }) => resultOf('get_weather', JSON.stringify({ city })),
          },
        },
      ],
    })
    expect(await runner.finalContent()).toBe('In Bergen it is 7 degrees and cloudy.')
  })

  it('holds a call that the model makes by itself to the schema of a strict tool', async () => {
    const { function: weather } = weatherTool
    const parameters = { ...weather.parameters, properties: { city: { enum: ['Bergen', 'Oslofjord'] } } }
    const create = (strict: boolean) =>
      openai.chat.completions.create({
        ...base,
        messages: user('What is the weather in Oslo?'),
        tools: [{ type: 'function', function: { ...weather, parameters, strict } }],
      })
    const callOf = async (strict: boolean) => (await create(strict)).choices[0]?.message.tool_calls
    expect(await callOf(false)).toMatchObject([{ function: { arguments: '{"city": "Oslo"}' } }])
    expect(await callOf(true)).toMatchObject([{ function: { arguments: '{"city": "Oslofjord"}' } }])
  })

  it('makes the model call when it would rather talk', async () => {
    const messages = user('Hello! Who are you?')
    const talk = await openai.chat.completions.create({ ...base, messages, tools: [weatherTool] })
    expect(talk.choices[0]?.message.tool_calls).toBeUndefined()
    for (const tool_choice of [
      'required' as const,
      { type: 'function' as const, function: { name: 'get_weather' } },
    ]) {
      const { choices } = await openai.chat.completions.create({
        ...base,
        messages,
        tools: [weatherTool, addTool],
        tool_choice,
      })
      expect(choices[0]?.finish_reason).toBe('tool_calls')
      const [call] = choices[0]?.message.tool_calls ?? []
      if (call?.type !== 'function') throw new Error('no call')
      const keys = call.function.name === 'add' ? ['a', 'b'] : ['city']
      expect(Object.keys(JSON.parse(call.function.arguments))).toEqual(keys)
    }
  })

  it('keeps forced calls to the schemas of their tools, however wild the draw', async () => {
    const colours = ['red', 'green']
    const { choices } = await openai.chat.completions.create({
      ...base,
      temperature: 2,
      seed: 5,
      n: 4,
      messages: user('Hello!'),
      tools: [
        {
          type: 'function',
          function: {
            name: 'set_signal',
            parameters: {
              type: 'object',
              properties: { colour: { enum: colours }, signal: { type: 'integer', minimum: 1, maximum: 99 } },
              required: ['colour', 'signal'],
              additionalProperties: false,
            },
          },
        },
      ],
      tool_choice: { type: 'function', function: { name: 'set_signal' } },
    })
    expect(choices).toHaveLength(4)
    for (const { message, finish_reason: reason } of choices) {
      expect(reason).toBe('tool_calls')
      const [call] = message.tool_calls ?? []
      const given = JSON.parse(call?.type === 'function' ? call.function.arguments : '') as Record<
        string,
        unknown
      >
      expect(colours).toContain(given['colour'])
      expect(given['signal']).toBeGreaterThan(0)
    }
  })
})

describe("Vercel's AI SDK", () => {
  const tools = {
    get_weather: tool({
      description: 'Get the weather of a city',
      inputSchema: jsonSchema<{ city: string }>({
        type: 'object',
        properties: { city: { type: 'string' } },
        required: ['city'],
      }),
      execute: ({ city }) => resultOf('get_weather', JSON.stringify({ city })),
    }),
  }
  const settings = () => ({ model: yardling, temperature: 0, maxOutputTokens: 120, maxRetries: 0 })

  it('chats, and reads the usage', async () => {
    const { text, finishReason, usage } = await generateText({
      ...settings(),
      prompt: 'Repeat exactly: plum K7-42 lantern',
    })
    expect([text, finishReason]).toEqual(['plum K7-42 lantern', 'stop'])
    expect(usage.totalTokens).toBe((usage.inputTokens ?? 0) + (usage.outputTokens ?? 0))
  })

  it('streams', async () => {
    const { textStream, finishReason, usage } = streamText({ ...settings(), prompt: 'Count from 1 to 12.' })
    const pieces: string[] = []
    for await (const piece of textStream) pieces.push(piece)
    expect(pieces.length).toBeGreaterThan(5)
    expect(pieces.join('')).toContain('11, 12')
    expect(await finishReason).toBe('stop')
    expect((await usage).outputTokens).toBeGreaterThan(12)
  })

  it('goes round the loop of tools', async () => {
    const { text, steps } = await generateText({
      ...settings(),
      tools,
      stopWhen: stepCountIs(4),
      prompt: 'What is the weather in Oslo?',
    })
    expect(steps.map(({ finishReason }) => finishReason)).toEqual(['tool-calls', 'stop'])
    expect(steps[0]?.toolCalls).toMatchObject([{ toolName: 'get_weather', input: { city: 'Oslo' } }])
    expect(text).toBe('In Oslo it is 7 degrees and cloudy.')
  })

  it('goes round the loop of tools, streaming', async () => {
    const { fullStream, text } = streamText({
      ...settings(),
      tools,
      stopWhen: stepCountIs(4),
      prompt: 'What is the weather in Paris?',
    })
    let input = ''
    const kinds = new Set<string>()
    for await (const part of fullStream) {
      kinds.add(part.type)
      if (part.type === 'tool-input-delta') input += part.delta
    }
    expect(JSON.parse(input)).toEqual({ city: 'Paris' })
    for (const kind of ['tool-input-start', 'tool-input-end', 'tool-call', 'tool-result']) {
      expect(kinds).toContain(kind)
    }
    expect(await text).toBe('In Paris it is 7 degrees and cloudy.')
  })

  it('reads an error', async () => {
    const failed = generateText({ ...settings(), prompt: 'word '.repeat(3000) })
    const error: unknown = await failed.catch((caught: unknown) => caught)
    expect(APICallError.isInstance(error) && error).toMatchObject({
      statusCode: 400,
      isRetryable: false,
      message: expect.stringContaining('tokens too long'),
    })
  })

  it('aborts, and the server stops computing', async () => {
    const abort = new AbortController()
    const { textStream } = streamText({
      ...settings(),
      maxOutputTokens: 1500,
      prompt: 'Tell me a long story about Otto the old crane.',
      abortSignal: abort.signal,
      onError: () => undefined,
    })
    for await (const _ of textStream) abort.abort()
    await expect.poll(() => server.engine.stats?.numRunning).toBe(0)
  })
})
