import { Ajv2020 } from 'ajv/dist/2020.js'
import OpenAI from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { byteServer, listen } from '../../test/support/api-server.ts'
import { begins, matches } from '../../test/support/grammar-walk.ts'
import { createEngine } from '../engine/create-engine.ts'
import type { EngineClient } from '../engine/engine-client.ts'
import type { Dialect } from '../text/output/dialect.ts'
import { toolFamilies } from '../text/output/families/index.ts'
import type { ReasoningTags } from '../text/output/reasoning-parser.ts'
import { answerGrammar } from './answer-grammar.ts'
import type { ChatRequest } from './schemas/chat.ts'
import type { ApiServer } from './server.ts'

/** Chooses bytes by lot, so that nothing but the grammar makes sense of them. Its pool is too small for four. */
let engine: EngineClient
let server: ApiServer
let client: OpenAI

beforeAll(async () => {
  engine = createEngine(
    {
      executor: { kind: 'fake', vocabSize: 258, maxModelLen: 600, blockSize: 4, numBlocks: 260 },
      scheduler: { maxNumSeqs: 8, maxNumBatchedTokens: 64, maxTbtMs: undefined, policy: 'fcfs' },
    },
    'in-process',
  )
  await engine.ready()
  server = byteServer(engine)
  const baseURL = `http://127.0.0.1:${await listen(server)}/v1`
  client = new OpenAI({ apiKey: 'none', baseURL, maxRetries: 0 })
})

afterAll(async () => {
  await server.close()
  await engine.close()
})

const weather = {
  type: 'object',
  properties: {
    city: { type: 'string', maxLength: 12 },
    degrees: { type: 'integer', minimum: -60, maximum: 60 },
    sky: { enum: ['clear', 'cloudy', 'ünklar'] },
    winds: { type: 'array', items: { type: 'number', minimum: 0, maximum: 99.5 }, maxItems: 3 },
    note: { anyOf: [{ type: 'null' }, { type: 'string', format: 'date' }] },
  },
  required: ['city', 'degrees', 'sky', 'winds'],
  additionalProperties: false,
}
const validates = new Ajv2020({ strict: false, validateFormats: false }).compile(weather)
const jsonSchema = {
  type: 'json_schema' as const,
  json_schema: { name: 'weather', strict: true, schema: weather },
}
const messages = [{ role: 'user' as const, content: 'What is the weather?' }]

describe('structured output', () => {
  it('validates in every one of n choices, drawn or best, though sequences are preempted meanwhile', async () => {
    for (const temperature of [0, 1]) {
      const answers = await Promise.all(
        Array.from({ length: 6 }, (_, seed) =>
          client.chat.completions.create({
            model: 'script',
            messages,
            n: 4,
            seed,
            temperature,
            max_tokens: 400,
            response_format: jsonSchema,
          }),
        ),
      )
      for (const { choices } of answers) {
        expect(choices.map(({ finish_reason: reason }) => reason)).toEqual(['stop', 'stop', 'stop', 'stop'])
        for (const { message } of choices) {
          expect(validates(JSON.parse(message.content!)), message.content!).toBe(true)
        }
      }
    }
    expect(engine.stats!.numPreemptionsTotal).toBeGreaterThan(0)
  }, 20_000)

  it('is the same streamed, and at every chunk the beginning of a text that validates', async () => {
    const request = { model: 'script', messages, seed: 3, max_tokens: 400, response_format: jsonSchema }
    const whole = await client.chat.completions.create(request)
    let text = ''
    for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? ''
      expect(begins({ kind: 'jsonSchema', schema: weather }, text), text).toBe(true)
    }
    expect(text).toBe(whole.choices[0]!.message.content)
  })

  it('is what stands before a stop string', async () => {
    const { choices } = await client.chat.completions.create({
      model: 'script',
      messages,
      seed: 5,
      max_tokens: 400,
      stop: ['"degrees"'],
      response_format: jsonSchema,
    })
    expect(choices[0]!.finish_reason).toBe('stop')
    expect(choices[0]!.message.content).toMatch(/^\{\s*"city":\s*".*",\s*$/s)
  })

  it('is parsed by the official client', async () => {
    const schema = z.object({
      name: z.string().max(8),
      kind: z.enum(['a', 'b']),
      tags: z.array(z.boolean()).max(3),
      next: z.object({ at: z.int().min(1).max(9) }).nullable(),
    })
    const { choices } = await client.chat.completions.parse({
      model: 'script',
      messages,
      seed: 1,
      max_tokens: 400,
      response_format: zodResponseFormat(schema, 'thing'),
    })
    expect(schema.safeParse(choices[0]!.message.parsed).success).toBe(true)
  })

  it('tells logprobs of the model, and takes a bias', async () => {
    const { choices } = await client.chat.completions.create({
      model: 'script',
      messages,
      logprobs: true,
      top_logprobs: 2,
      // The quote: strings get short.
      logit_bias: { 34: 100 },
      max_tokens: 400,
      response_format: jsonSchema,
    })
    const { content } = choices[0]!.logprobs!
    expect(JSON.parse(choices[0]!.message.content!)).toMatchObject({ city: '' })
    expect(content!.length).toBeGreaterThan(10)
    expect(content!.every(({ logprob }) => logprob < 0)).toBe(true)
  })
})

const complete = async (fields: object) => {
  const response = await server.app.inject({
    method: 'POST',
    url: '/v1/completions',
    payload: { prompt: 'Say: ', max_tokens: 200, ...fields },
  })
  return {
    status: response.statusCode,
    ...response.json<{ choices: { text: string }[]; error?: { message: string; param: string } }>(),
  }
}

describe('other ways to ask for a form', () => {
  it.each<[object, RegExp]>([
    [{ structured_outputs: { regex: '[0-9]{3}-(ab|cd)' } }, /^[0-9]{3}-(ab|cd)$/],
    [{ structured_outputs: { choice: ['yes', 'no'] } }, /^(yes|no)$/],
    [{ structured_outputs: { grammar: 'root ::= "<" [a-z]{2,4} ">"' } }, /^<[a-z]{2,4}>$/],
    [{ structured_outputs: { json: { type: 'integer', minimum: 5, maximum: 7 } } }, /^[567]$/],
    [{ guided_regex: 'x+y' }, /^x+y$/],
    [{ guided_choice: ['a', 'b'] }, /^[ab]$/],
    [{ guided_grammar: 'root ::= "ü" | "ö"' }, /^[üö]$/],
    [{ guided_json: '{"const": 12}' }, /^12$/],
    [{ grammar: 'root ::= [0-9]' }, /^[0-9]$/],
    [{ json_schema: { type: 'boolean' } }, /^(true|false)$/],
    [
      { response_format: { type: 'json_schema', json_schema: { name: 'n', schema: { type: 'null' } } } },
      /^null$/,
    ],
  ])('%j', async (fields, pattern) => {
    const { status, choices } = await complete({ ...fields, logit_bias: { 121: 3 } })
    expect(status).toBe(200)
    expect(choices[0]!.text).toMatch(pattern)
  })

  it('any JSON object', async () => {
    // Quotes and braces, so that it comes to an end.
    const bias = { 34: 8, 125: 10, 93: 8 }
    const { choices } = await complete({
      response_format: { type: 'json_object' },
      logit_bias: bias,
      max_tokens: 400,
    })
    expect(JSON.parse(choices[0]!.text)).toBeTypeOf('object')
  })

  it('is a beginning when it is cut off', async () => {
    const { choices } = await complete({ guided_regex: 'a{1000}', max_tokens: 7 })
    expect(choices[0]!.text).toBe('aaaaaaa')
  })

  it.each<[object, string, string]>([
    [
      { response_format: { type: 'json_schema', json_schema: { name: 'n', schema: { not: {} } } } },
      'response_format.json_schema.schema',
      "'not'",
    ],
    [{ structured_outputs: { regex: '(?=a)' } }, 'structured_outputs.regex', 'look-around'],
    [{ grammar: 'root ::= nope' }, 'grammar', 'nope'],
    [{ guided_json: '{' }, 'guided_json', 'not JSON'],
    [{ guided_regex: 'a', grammar: 'root ::= "a"' }, 'grammar', 'exclude'],
    [{ response_format: { type: 'xml' } }, 'response_format.type', ''],
    [{ structured_outputs: { choice: [] } }, 'structured_outputs.choice', ''],
  ])('%j is refused, naming %s', async (fields, param, why) => {
    const { status, error } = await complete(fields)
    expect(status).toBe(400)
    expect(error).toMatchObject({ param })
    expect(error!.message).toContain(why)
  })
})

const tool = (name: string, parameters: Record<string, unknown>) => ({
  type: 'function' as const,
  function: { name, parameters },
})

describe('the form of an answer', () => {
  const dialect = (reasoning: ReasoningTags | undefined): Dialect => ({
    family: toolFamilies.hermes,
    reasoning,
    shownTokenIds: new Set(),
  })
  const prompt = { text: 'Go:', isReasoning: false, grammar: undefined }
  const asked = { response_format: { type: 'json_object' } } as ChatRequest

  it('may give way to a call', () => {
    const tools = [tool('f', { properties: { a: { const: 1 } } })]
    const spec = answerGrammar(dialect(undefined), { ...asked, tools } as unknown as ChatRequest, prompt)!
    expect(matches(spec, '{"b": 2}')).toBe(true)
    expect(matches(spec, '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>')).toBe(true)
    expect(matches(spec, '<tool_call>\n{"name": "g", "arguments": {"a": 1}}\n</tool_call>')).toBe(false)
    expect(matches(spec, '<tool_call>\n{"name": "f", "arguments": {"a": 2}}\n</tool_call>')).toBe(false)
  })

  it('may come behind reasoning, unless that is over', () => {
    const tags = { open: '<think>', close: '</think>' }
    const free = answerGrammar(dialect(tags), asked, prompt)!
    const over = answerGrammar(dialect(tags), asked, { ...prompt, text: '<think></think>\n' })!
    expect(matches(free, '{}')).toBe(true)
    expect(matches(free, '<think>\nAh </thin</think>\n\n{}')).toBe(true)
    expect(matches(free, '<think>{}')).toBe(false)
    expect(matches(over, '{}')).toBe(true)
    expect(matches(over, '<think>Hm.</think>{}')).toBe(false)
  })

  it('comes behind reasoning that the prompt has opened', () => {
    const tags = { open: '<think>', close: '</think>' }
    const spec = answerGrammar(dialect(tags), asked, { ...prompt, text: '<think>\n', isReasoning: true })!
    expect(matches(spec, 'Two {and} two.\n</think>\n\n{"a": 4}')).toBe(true)
    expect(begins(spec, 'Two.</think>Four')).toBe(false)
    expect(matches(spec, 'Two.')).toBe(false)
  })

  it('is free up to the calls of strict tools, also behind reasoning', () => {
    const strict = { ...tool('f', { properties: { a: { const: 1 } } }).function, strict: true }
    const body = { tools: [{ type: 'function', function: strict }, tool('g', { not: {} })] }
    const tags = { open: '<think>', close: '</think>' }
    const call = (name: string, given: string) =>
      `<tool_call>\n{"name": "${name}", "arguments": ${given}}\n</tool_call>`
    for (const isReasoning of [false, true]) {
      const end = { ...prompt, isReasoning }
      const spec = answerGrammar(dialect(tags), body as unknown as ChatRequest, end)!
      const thought = `${isReasoning ? '' : '<think>'}A <tool_call> or none?</think>\n\n`
      expect(matches(spec, `${thought}Hi`)).toBe(true)
      expect(matches(spec, `${thought}Hi ${call('f', '{"a": 1}')}\n${call('g', '{"b": [2]}')}`)).toBe(true)
      expect(begins(spec, `${thought}${call('f', '{"a": 2}')}`)).toBe(false)
      expect(begins(spec, `${thought}${call('h', '{}')}`)).toBe(false)
    }
  })

  it('is left alone where no tool is strict or none may be called', () => {
    const strict = { ...tool('f', {}).function, strict: true }
    const grammarOf = (body: object) => answerGrammar(dialect(undefined), body as ChatRequest, prompt)
    expect(grammarOf({ tools: [tool('f', {})] })).toBeUndefined()
    expect(grammarOf({ tools: [{ function: strict }], tool_choice: 'none' })).toBeUndefined()
  })
})
