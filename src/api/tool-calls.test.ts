/** Tools and reasoning over the official client, with answers that are written down. */
import { readFileSync } from 'node:fs'
import OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import { listen, scriptedServer, type ScriptedServer } from '../../test/support/api-server.ts'
import { begins } from '../../test/support/grammar-walk.ts'

const template = readFileSync(new URL('../../models/yardling/chat_template.jinja', import.meta.url), 'utf8')
/** Opens the reasoning itself unless it is told not to. */
const thinkingTemplate =
  '{%- for m in messages -%}<|im_start|>{{ m.role }}\n{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}<|im_end|>\n{%- endfor -%}<|im_start|>assistant\n<think>\n{% if enable_thinking is defined and not enable_thinking %}\n</think>\n\n{% endif %}'

let server: ScriptedServer
let client: OpenAI
let url: string

async function start(...[script, config]: Parameters<typeof scriptedServer>): Promise<void> {
  server = scriptedServer(script, { template, maxModelLen: 4096, ...config })
  url = `http://127.0.0.1:${await listen(server)}/v1`
  client = new OpenAI({ apiKey: 'none', baseURL: url, maxRetries: 0 })
}

afterEach(async () => {
  await server.close()
  await server.engine.close()
})

const toolNamed = (name: string) => ({
  type: 'function' as const,
  function: { name, parameters: { type: 'object', properties: { city: { type: 'string' } } } },
})
const ask = {
  model: 'script',
  messages: [{ role: 'user' as const, content: 'Hi' }],
  tools: [toolNamed('find'), toolNamed('add')],
}
const callText = (name: string, args: string) =>
  `<tool_call>\n{"name": "${name}", "arguments": ${args}}\n</tool_call>`
const prompt = () =>
  Buffer.from((server.engine.requests.at(-1)?.promptTokens ?? []).filter((id) => id < 256)).toString()

describe('a call of a tool', () => {
  it('is given as one, with the reason', async () => {
    await start(`Let me look.\n${callText('find', '{"city": "Oslo"}')}\n${callText('add', '{}')}`)
    const { choices, usage } = await client.chat.completions.create(ask)
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: 'Let me look.',
        tool_calls: [
          {
            id: expect.stringMatching(/^call_[0-9a-zA-Z]{24}$/),
            type: 'function',
            function: { name: 'find', arguments: '{"city": "Oslo"}' },
          },
          { function: { name: 'add', arguments: '{}' } },
        ],
      },
    })
    expect(usage?.completion_tokens).toBeGreaterThan(100)
    expect(server.engine.toolCalls.map(({ tool }) => tool)).toEqual(['find', 'add'])
  })

  it('has no content beside it where the model wrote none', async () => {
    await start(callText('find', '{}'))
    const { choices } = await client.chat.completions.create(ask)
    expect(choices[0]?.message.content).toBeNull()
  })

  it('streams its arguments as they come', async () => {
    await start(callText('find', '{"city": "Oslo"}'))
    const stream = await client.chat.completions.create({ ...ask, stream: true })
    const deltas: OpenAI.ChatCompletionChunk.Choice.Delta.ToolCall[] = []
    let reason: string | null | undefined
    let content = ''
    for await (const { choices } of stream) {
      deltas.push(...(choices[0]?.delta.tool_calls ?? []))
      content += choices[0]?.delta.content ?? ''
      reason = choices[0]?.finish_reason
    }
    expect(deltas[0]).toMatchObject({
      index: 0,
      type: 'function',
      function: { name: 'find', arguments: '{' },
    })
    expect(deltas).toHaveLength('{"city": "Oslo"}'.length)
    expect(deltas.map((delta) => delta.function?.arguments).join('')).toBe('{"city": "Oslo"}')
    expect([content, reason]).toEqual(['', 'tool_calls'])
  })

  it('comes whole out of the helper of the client', async () => {
    await start(`${callText('find', '{"city": "Oslo"}')}\n${callText('add', '{"a": [1, 2]}')}`)
    const completion = await client.chat.completions.stream(ask).finalChatCompletion()
    expect(
      completion.choices[0]?.message.tool_calls?.map((call) => 'function' in call && call.function),
    ).toMatchObject([
      { name: 'find', arguments: '{"city": "Oslo"}' },
      { name: 'add', arguments: '{"a": [1, 2]}' },
    ])
  })

  it('is content when it came out wrong', async () => {
    const text = callText('find', '{"city": Oslo}')
    await start(text)
    const { choices } = await client.chat.completions.create(ask)
    expect(choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: text } })
    expect(choices[0]?.message.tool_calls).toBeUndefined()
  })

  it.each([{ tools: [] }, { tool_choice: 'none' as const }])(
    'is content where there are no tools: %j',
    async (fields) => {
      const text = callText('find', '{}')
      await start(text)
      const { choices } = await client.chat.completions.create({ ...ask, ...fields })
      expect(choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: text } })
      expect(prompt()).not.toContain('<tools>')
    },
  )

  it('is apart in each of several choices, and has its probabilities', async () => {
    await start(callText('find', '{}'))
    const { choices } = await client.chat.completions.create({ ...ask, n: 2, logprobs: true })
    expect(choices.map(({ message }) => message.tool_calls?.length)).toEqual([1, 1])
    expect(new Set(choices.map(({ message }) => message.tool_calls?.[0]?.id)).size).toBe(2)
    expect(choices[0]?.logprobs?.content).toHaveLength(callText('find', '{}').length + 1)
  })

  it('ends the answer when only one is wanted', async () => {
    await start(`${callText('find', '{}')}\n${callText('add', '{}')}`)
    const { choices } = await client.chat.completions.create({ ...ask, parallel_tool_calls: false })
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: [{ function: { name: 'find' } }] },
    })
    expect(choices[0]?.message.tool_calls).toHaveLength(1)
    await server.engine.idle()
    expect(server.engine.numCancelled).toBe(1)
  })

  it('gives way to a stop string within it', async () => {
    await start(callText('find', '{"city": "Oslo"}'))
    const { choices } = await client.chat.completions.create({ ...ask, stop: 'Oslo' })
    expect(choices[0]).toMatchObject({ finish_reason: 'stop' })
    expect(choices[0]?.message.content).toBe('<tool_call>\n{"name": "find", "arguments": {"city": "')
  })
})

describe('a model whose template knows no tools', () => {
  it('is told of them, and calls them in JSON', async () => {
    server = scriptedServer('{"name": "find", "arguments": {"city": "Oslo"}}', { maxModelLen: 4096 })
    client = new OpenAI({
      apiKey: 'none',
      baseURL: `http://127.0.0.1:${await listen(server)}/v1`,
      maxRetries: 0,
    })
    const { choices } = await client.chat.completions.create(ask)
    expect(prompt()).toContain(JSON.stringify(ask.tools[0]))
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { content: null, tool_calls: [{ function: { name: 'find', arguments: '{"city": "Oslo"}' } }] },
    })
  })
})

describe('a choice of tools', () => {
  it('that names one opens the call of it', async () => {
    await start(' {"city": "Oslo"}}\n</tool_call>')
    const tool_choice = { type: 'function' as const, function: { name: 'find' } }
    const { choices } = await client.chat.completions.create({ ...ask, tool_choice })
    expect(prompt()).toMatch(/<tool_call>\n\{"name": "find", "arguments":$/)
    expect(choices[0]?.message).toMatchObject({
      content: null,
      tool_calls: [{ function: { name: 'find', arguments: '{"city": "Oslo"}' } }],
    })
  })

  it('hands the engine the grammar of the call', async () => {
    await start(' {"city": "Oslo"}}\n</tool_call>')
    const tool_choice = { type: 'function' as const, function: { name: 'find' } }
    await client.chat.completions.create({ ...ask, tool_choice })
    const { grammar } = server.engine.requests[0] ?? {}
    for (const text of [' {"city": "Oslo"}}\n</tool_call>', ' {}}\n</tool_call>']) {
      expect(begins(grammar!, text), text).toBe(true)
    }
    for (const text of ['no', ' {"city": 5}', ' {}}\n</tool_call>\n<tool_call>']) {
      expect(begins(grammar!, text), text).toBe(false)
    }
  })

  it('refuses a strict tool whose schema cannot be kept to, and takes any object for another', async () => {
    await start(' {}}\n</tool_call>')
    const schema = { type: 'object', properties: { a: { $ref: 'http://elsewhere/schema' } } }
    const withStrict = (strict: boolean) => ({
      ...ask,
      tools: [{ type: 'function' as const, function: { name: 'find', parameters: schema, strict } }],
      tool_choice: 'required' as const,
    })
    const failed = client.chat.completions.create(withStrict(true))
    await expect(failed).rejects.toMatchObject({ status: 400, param: 'tools[0].function.parameters' })
    const { choices } = await client.chat.completions.create(withStrict(false))
    expect(choices[0]?.message.tool_calls).toHaveLength(1)
  })

  it.each([undefined, 'auto' as const])(
    'that leaves the model free holds calls of strict tools to their schemas: %s',
    async (tool_choice) => {
      await start('Hi')
      const strict = { ...toolNamed('find').function, strict: true }
      const tools = [{ type: 'function' as const, function: strict }]
      await client.chat.completions.create({ ...ask, tools, ...(tool_choice && { tool_choice }) })
      const { grammar } = server.engine.requests[0]!
      expect(begins(grammar!, `Let me see.\n${callText('find', '{"city": "Oslo"}')}\nSo`)).toBe(true)
      expect(begins(grammar!, callText('find', '{"city": 5}'))).toBe(false)
      await client.chat.completions.create({ ...ask, tools: [toolNamed('find')] })
      expect(server.engine.requests[1]!.grammar).toBeUndefined()
    },
  )

  it('that requires one leaves open which', async () => {
    await start(' "add", "arguments": {}}\n</tool_call>')
    const { choices } = await client.chat.completions.create({ ...ask, tool_choice: 'required' })
    expect(prompt()).toMatch(/<tool_call>\n\{"name":$/)
    expect(choices[0]?.message.tool_calls).toMatchObject([{ function: { name: 'add', arguments: '{}' } }])
  })

  it.each([
    { tool_choice: { type: 'function' as const, function: { name: 'nothing' } } },
    { tool_choice: 'required' as const, tools: [] },
  ])('that cannot be met is refused: %j', async (fields) => {
    await start('')
    const failed = client.chat.completions.create({ ...ask, ...fields })
    await expect(failed).rejects.toMatchObject({ status: 400, param: 'tool_choice' })
  })
})

describe('reasoning', () => {
  const think = { model: 'script', messages: ask.messages }

  it('is given apart, where the prompt opens it', async () => {
    await start('Two and two.\n</think>\n\n4', { template: thinkingTemplate })
    const { choices } = await client.chat.completions.create(think)
    expect(choices[0]?.message).toMatchObject({ content: '4', reasoning_content: 'Two and two.' })
  })

  it('is streamed apart', async () => {
    await start('Two and two.\n</think>\n\n4', { template: thinkingTemplate })
    const stream = await client.chat.completions.create({ ...think, stream: true })
    let [reasoning, content] = ['', '']
    for await (const { choices } of stream) {
      const delta = choices[0]?.delta as { content?: string; reasoning_content?: string }
      reasoning += delta.reasoning_content ?? ''
      content += delta.content ?? ''
    }
    expect([reasoning, content]).toEqual(['Two and two.', '4'])
  })

  it('is left out when nobody wants it', async () => {
    await start('Two and two.</think>4', { template: thinkingTemplate })
    const body = { ...think, include_reasoning: false }
    const { choices } = await client.chat.completions.create(body)
    expect(choices[0]?.message).toEqual({ role: 'assistant', content: '4', refusal: null })
  })

  it.each([{ chat_template_kwargs: { enable_thinking: false } }, { reasoning_effort: 'none' as const }])(
    'can be turned off in the template: %j',
    async (fields) => {
      await start('4', { template: thinkingTemplate })
      const { choices } = await client.chat.completions.create({ ...think, ...fields })
      expect(prompt()).toMatch(/<\/think>\n\n$/)
      expect(choices[0]?.message).toEqual({ role: 'assistant', content: '4', refusal: null })
    },
  )

  it('is content when the server is told so', async () => {
    await start('Two.</think>4', { template: thinkingTemplate, reasoningParser: 'none' })
    const { choices } = await client.chat.completions.create(think)
    expect(choices[0]?.message.content).toBe('Two.</think>4')
  })

  it.each(['reasoning', 'reasoning_content'])('of earlier answers is taken back as %s', async (field) => {
    await start('4', { template: thinkingTemplate })
    const messages = [
      ...ask.messages,
      { role: 'assistant' as const, content: '3', [field]: 'Hm.' },
      ...ask.messages,
    ]
    await client.chat.completions.create({ ...think, messages })
    expect(prompt()).toContain('<think>Hm.</think>3')
  })

  it('comes before an answer that has a form to keep to', async () => {
    await start('So.</think>\n\n{}', { template: thinkingTemplate })
    const { choices } = await client.chat.completions.create({
      ...think,
      response_format: { type: 'json_object' },
    })
    expect(prompt()).toMatch(/<think>\n$/)
    expect(choices[0]?.message).toMatchObject({ content: '{}', reasoning_content: 'So.' })
    const { grammar } = server.engine.requests[0]!
    expect(begins(grammar!, 'Well, {so</think>\n\n{"a": 1}')).toBe(true)
    expect(begins(grammar!, '</think>So')).toBe(false)
  })

  it('comes before a call that is forced', async () => {
    const call = '<tool_call>\n{"name": "find", "arguments": {}}\n</tool_call>'
    await start(`So.</think>\n\n${call}`, { template: thinkingTemplate, toolParser: 'hermes' })
    const tool_choice = { type: 'function' as const, function: { name: 'find' } }
    const { choices } = await client.chat.completions.create({ ...ask, tool_choice })
    expect(prompt()).toMatch(/<think>\n$/)
    expect(choices[0]?.message).toMatchObject({ reasoning_content: 'So.' })
    expect(choices[0]?.message.tool_calls).toHaveLength(1)
    const { grammar } = server.engine.requests[0]!
    expect(begins(grammar!, `So.</think>\n\n${call}`)).toBe(true)
    expect(begins(grammar!, 'So.</think>\n\nNo.')).toBe(false)
  })

  it('is over at once, before a call that is forced, where the template is told so', async () => {
    await start(' {}}</tool_call>', { template: thinkingTemplate, toolParser: 'hermes' })
    const body = {
      ...ask,
      tool_choice: { type: 'function' as const, function: { name: 'find' } },
      chat_template_kwargs: { enable_thinking: false },
    }
    const { choices } = await client.chat.completions.create(body)
    expect(prompt()).toMatch(/<think>\n<\/think>\n\n<tool_call>\n\{"name": "find", "arguments":$/)
    expect(choices[0]?.message.tool_calls).toHaveLength(1)
  })
})
