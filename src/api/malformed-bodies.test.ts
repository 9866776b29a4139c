/** Bodies that nobody should send, at every surface: the surface's own error, a 4xx, and a server that goes on. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scriptedServer, type ScriptedServer } from '../../test/support/api-server.ts'

const chat = [{ role: 'user', content: 'Hi' }]
const openAi = { error: { message: expect.any(String), type: expect.any(String) } }
const anthropic = { type: 'error', error: { type: expect.any(String), message: expect.any(String) } }
const ollama = { error: expect.any(String) }

/** A body that is right, and the shape of the surface's errors. */
const surfaces: readonly (readonly [string, Record<string, unknown>, object])[] = [
  [
    '/v1/chat/completions',
    { messages: chat, tools: [{ type: 'function', function: { name: 'f' } }] },
    openAi,
  ],
  ['/v1/completions', { prompt: 'Hi' }, openAi],
  [
    '/v1/responses',
    {
      input: [{ role: 'user', content: [{ type: 'input_text', text: 'Hi' }] }],
      text: { format: { type: 'text' } },
    },
    openAi,
  ],
  [
    '/v1/responses/input_tokens',
    { input: 'Hi', tools: [{ type: 'function', name: 'f', parameters: {} }] },
    openAi,
  ],
  ['/v1/embeddings', { input: ['Hi'] }, openAi],
  ['/v1/rerank', { query: 'Hi', documents: ['Ho'] }, openAi],
  ['/v1/score', { text_1: 'Hi', text_2: ['Ho'] }, openAi],
  [
    '/v1/messages',
    {
      model: 'script',
      max_tokens: 9,
      system: [{ type: 'text', text: 'Hi' }],
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
    },
    anthropic,
  ],
  [
    '/v1/messages/count_tokens',
    { model: 'script', messages: chat, tools: [{ name: 'f', input_schema: {} }] },
    anthropic,
  ],
  ['/api/chat', { model: 'script', messages: chat, options: { num_predict: 4 } }, ollama],
  ['/api/generate', { model: 'script', prompt: 'Hi', options: { temperature: 1 } }, ollama],
  ['/api/embed', { model: 'script', input: ['Hi'] }, ollama],
  ['/api/show', { model: 'script' }, ollama],
]

let server: ScriptedServer

beforeAll(() => {
  server = scriptedServer('Hello', { pooling: 'mean', isRandom: true })
})

afterAll(async () => {
  await server.close()
  await server.engine.close()
})

async function send(url: string, payload: string | Buffer, type = 'application/json') {
  const response = await server.app.inject({
    method: 'POST',
    url,
    payload,
    headers: { 'content-type': type },
  })
  return { status: response.statusCode, body: response.body, json: () => response.json<unknown>() }
}

const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)

/** Values of the wrong type, of absurd size or depth, or no text that exists. */
const oddities = fc.oneof(
  fc.constantFrom<unknown>(
    -1,
    1e308,
    -1e308,
    1.5,
    2 ** 53,
    '',
    '\ud800',
    '\u0000',
    'x'.repeat(5000),
    true,
    [],
    {},
    [[]],
    [null],
  ),
  fc.constantFrom<unknown>(JSON.parse(deep(150)), JSON.parse(deep(400)), { __proto__: null, constructor: 1 }),
  fc.jsonValue({ maxDepth: 4 }),
)

/** Every place in a value, as a path. */
function placesIn(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([key, child]) => placesIn(child, [...path, key]))]
}

function withValue(value: unknown, [key, ...rest]: readonly string[], put: unknown): unknown {
  if (key === undefined) return put
  const copy = structuredClone(value) as Record<string, unknown>
  copy[key] = withValue(copy[key], rest, put)
  return copy
}

describe.each(surfaces)('%s', (url, good, shape) => {
  it('answers any change of a right body, and refuses with its own error', async () => {
    const mutant = fc
      .tuple(fc.constantFrom(...placesIn(good)), oddities)
      .map(([path, oddity]) => withValue(good, path, oddity))
    await fc.assert(
      fc.asyncProperty(mutant, async (body) => {
        const { status, json } = await send(url, JSON.stringify(body))
        expect(status).toBeLessThan(500)
        if (status >= 400) expect(json()).toMatchObject(shape)
      }),
      { numRuns: 60 },
    )
  })

  it.each([
    ['nothing', '', 'application/json'],
    ['no JSON', '{"model": ', 'application/json'],
    ['no object', '[]', 'application/json'],
    ['null', 'null', 'application/json'],
    ['another type', 'model=script', 'application/x-www-form-urlencoded'],
    ['depth', deep(50_000), 'application/json'],
    ['depth in a field', `{"model": ${deep(40_000)}}`, 'application/json'],
    [
      'bytes that are no UTF-8',
      Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x80, 0x7d]),
      'application/json',
    ],
    ['a prototype', '{"__proto__": {"model": 1}}', 'application/json'],
    ['more than is read', `{"model": "${'x'.repeat(200_000)}"}`, 'application/json'],
  ])('refuses %s with its own error', async (_, payload, type) => {
    const { status, json } = await send(url, payload, type)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
    expect(json()).toMatchObject(shape)
  })
})
