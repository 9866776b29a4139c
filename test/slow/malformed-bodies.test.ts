/** Hundreds of wrong bodies for each surface of one running server: refused in its own shape, and nothing stays behind. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { execFileSync } from 'node:child_process'
import { RandomStream } from '../../src/core/random.ts'
import { serverProcess, type ServerProcess } from '../support/kill-server.ts'

let dir: string
let server: ServerProcess
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'malformed-'))
  server = await serverProcess(['--threads', '1', '--data-dir', dir, '--max-model-len', '512'])
})
afterAll(async () => {
  await server.kill()
  rmSync(dir, { recursive: true, force: true })
})

interface Surface {
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
  readonly isError: (body: unknown) => boolean
  /** Without what is to be answered a request is right: it asks whether the model is there. */
  readonly isRightWithoutPrompt?: true
}

const isOpenAi = (body: unknown) => {
  const { error } = body as { error?: Record<string, unknown> }
  return (
    typeof error?.['message'] === 'string' &&
    typeof error['type'] === 'string' &&
    'param' in error &&
    'code' in error
  )
}
const isAnthropic = (body: unknown) => {
  const { type, error } = body as { type?: string; error?: Record<string, unknown> }
  return type === 'error' && typeof error?.['type'] === 'string' && typeof error['message'] === 'string'
}
const isOllama = (body: unknown) => typeof (body as { error?: unknown }).error === 'string'

const messages = [{ role: 'user', content: 'Hi' }]
const few = { max_tokens: 1 }
const surfaces: Readonly<Record<string, Surface>> = {
  chat: { path: '/v1/chat/completions', body: { messages, ...few }, isError: isOpenAi },
  completions: { path: '/v1/completions', body: { prompt: 'Hi', ...few }, isError: isOpenAi },
  responses: { path: '/v1/responses', body: { input: 'Hi', max_output_tokens: 1 }, isError: isOpenAi },
  embeddings: { path: '/v1/embeddings', body: { input: 'Hi' }, isError: isOpenAi },
  rerank: { path: '/v1/rerank', body: { query: 'a', documents: ['b'] }, isError: isOpenAi },
  batches: {
    path: '/v1/batches',
    body: { input_file_id: 'file-0', endpoint: '/v1/completions', completion_window: '24h' },
    isError: isOpenAi,
  },
  tokenize: { path: '/tokenize', body: { messages }, isError: isOpenAi },
  anthropic: {
    path: '/v1/messages',
    body: { model: 'yardling-q8_0', messages, ...few },
    isError: isAnthropic,
  },
  'ollama chat': {
    path: '/api/chat',
    body: { model: 'yardling-q8_0', messages, stream: false, options: { num_predict: 1 } },
    isError: isOllama,
    isRightWithoutPrompt: true,
  },
  'ollama generate': {
    path: '/api/generate',
    body: { model: 'yardling-q8_0', prompt: 'Hi', stream: false, options: { num_predict: 1 } },
    isError: isOllama,
    isRightWithoutPrompt: true,
  },
}

const nested = (depth: number, wrap: (inner: string) => string): string => {
  let text = '""'
  for (let level = 0; level < depth; level++) text = wrap(text)
  return text
}

/** Values that no field wants, as JSON. */
const wrongValues = [
  '17.5',
  '-1e308',
  '1e400',
  '123456789012345678901234567890',
  'true',
  '{}',
  '[{}]',
  '[[[[1]]]]',
  '{"a":{"b":[null]}}',
  '"\\ud800"',
  '["\\udfff\\ud800"]',
  '"\\u0000"',
  '{"__proto__":{"x":1},"constructor":1}',
  nested(500, (inner) => `[${inner}]`),
  nested(500, (inner) => `{"a":${inner}}`),
] as const

/** Bodies that are no JSON, or JSON of the wrong kind altogether. */
const wrongTexts: readonly (string | Buffer)[] = [
  '',
  '{',
  '[]',
  'null',
  '17',
  '"text"',
  '{"a":}',
  "{'a': 1}",
  '{"messages": [}',
  '\ud800',
  '{"a": NaN}',
  '{"a": undefined}',
  Buffer.from([0xff, 0xfe, 0x00, 0x7b]),
  Buffer.concat([Buffer.from('{"prompt": "'), Buffer.from([0xc3, 0x28, 0xa0, 0xff]), Buffer.from('"')]),
  nested(100_000, (inner) => `[${inner}]`),
  '['.repeat(100_000),
  '{"a":'.repeat(100_000),
  '{"__proto__": {"messages": []}}',
]

/** A right body with one to three of its fields, known and unknown ones, replaced by what no field wants. */
function spoiled({ body, isRightWithoutPrompt }: Surface, random: RandomStream): string {
  const required = Object.keys(body).filter((field) => field !== 'stream' && field !== 'options')
  const fields = new Map(Object.entries(body).map(([field, value]) => [field, JSON.stringify(value)]))
  const value = () => wrongValues[random.below(wrongValues.length)]!
  const known = [
    ...required,
    'temperature',
    'top_p',
    'n',
    'seed',
    'stop',
    'logit_bias',
    'tools',
    'metadata',
    'user',
  ]
  for (let count = random.below(3); count > 0; count--)
    fields.set(known[random.below(known.length)]!, value())
  // One at least makes it wrong for certain: an object is no model's name.
  const wrong = random.below(2) === 0 ? 'model' : required[random.below(required.length)]!
  const canBeLeftOut =
    ['model', 'max_tokens', 'max_output_tokens'].includes(wrong) || isRightWithoutPrompt === true
  if (!canBeLeftOut && random.below(4) === 0) fields.delete(wrong)
  else fields.set(wrong, '{"no":1}')
  return `{${[...fields].map(([field, json]) => `${JSON.stringify(field)}:${json}`).join(',')}}`
}

async function send({ path }: Surface, body: string | Buffer, type = 'application/json') {
  const response = await fetch(server.url + path, { method: 'POST', body, headers: { 'content-type': type } })
  return { status: response.status, text: await response.text() }
}

async function expectRefused(surface: Surface, body: string | Buffer, type?: string): Promise<void> {
  const { status, text } = await send(surface, body, type)
  const sent = `${surface.path} ${body.toString().slice(0, 300)} => ${status} ${text.slice(0, 300)}`
  expect(status, sent).toBeGreaterThanOrEqual(400)
  expect(status, sent).toBeLessThan(500)
  expect(surface.isError(JSON.parse(text)), sent).toBe(true)
}

const residentMegabytes = () =>
  Number(
    /VmRSS:\s+(\d+)/.exec(
      execFileSync('cat', [`/proc/${server.child.pid}/status`], { encoding: 'utf8' }),
    )?.[1],
  ) / 1024

it.each(Object.entries(surfaces))(
  '500 wrong bodies for %s are refused in its own shape',
  async (name, surface) => {
    const right = await send(surface, JSON.stringify(surface.body))
    // The bundled model is no reranker, and there is no such file: everything else has an answer.
    expect(right.status, right.text).toBe({ rerank: 400, batches: 404 }[name] ?? 200)
    const random = new RandomStream(Number(process.env['SEED'] ?? 1))
    for (const text of wrongTexts) await expectRefused(surface, text)
    await expectRefused(surface, JSON.stringify(surface.body), 'text/plain')
    for (let count = wrongTexts.length + 1; count < 500; count++)
      await expectRefused(surface, spoiled(surface, random))
    expect(server.child.exitCode).toBe(null)
    expect((await send(surface, JSON.stringify(surface.body))).status).toBe(right.status)
  },
)

it('wrong forms for files are refused, and leave no file', async () => {
  const files: Surface = { path: '/v1/files', body: {}, isError: isOpenAi }
  const boundary = 'multipart/form-data; boundary=x'
  const part = (fields: string, content: string) =>
    `--x\r\nContent-Disposition: form-data; ${fields}\r\n\r\n${content}\r\n`
  const random = new RandomStream(2)
  const pieces = [
    part('name="purpose"', 'batch'),
    part('name="purpose"', 'x'.repeat(5000)),
    part('name="file"; filename="a"', 'content').slice(0, -9),
    part('name="other"; filename="a"', 'content'),
    part('name="a"', 'b').repeat(20),
    '--x\r\n\r\n',
    'no boundary at all',
    '\u0000\u0001',
  ]
  await expectRefused(files, '{}')
  await expectRefused(files, 'x', 'multipart/form-data')
  await expectRefused(files, '', boundary)
  for (let count = 3; count < 500; count++) {
    const chosen = Array.from({ length: 1 + random.below(3) }, () => pieces[random.below(pieces.length)]!)
    await expectRefused(files, `${chosen.join('')}${random.below(2) === 0 ? '--x--\r\n' : ''}`, boundary)
  }
  const { data } = (await (await fetch(`${server.url}/v1/files`)).json()) as { data: unknown[] }
  expect(data).toEqual([])
})

it('strings of 100 MB are refused everywhere, and the memory comes back', async () => {
  const before = residentMegabytes()
  const huge = `{"messages":[{"role":"user","content":"${'x'.repeat(100 * 2 ** 20)}"}]}`
  for (const surface of Object.values(surfaces)) await expectRefused(surface, huge)
  // As much as one body may be is read whole: nothing of it stays either.
  const large = `{"messages":[{"role":"user","content":"${'x'.repeat(15 * 2 ** 20)}"}],"model":{"no":1}}`
  for (const surface of Object.values(surfaces)) await expectRefused(surface, large)
  for (let round = 0; round < 200; round++)
    await send(surfaces['tokenize']!, JSON.stringify({ prompt: 'Hi' }))
  const after = residentMegabytes()
  console.log(`resident memory ${before.toFixed(0)} MB before, ${after.toFixed(0)} MB after`)
  expect(after).toBeLessThan(before + 200)
})
