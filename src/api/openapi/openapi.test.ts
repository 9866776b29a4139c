import { afterEach, beforeEach, expect, it } from 'vitest'
import { listen, scriptedServer, type ScriptedServer } from '../../../test/support/api-server.ts'
import { openApiDocument, operations } from './document.ts'
import { referencePage } from './reference-page.ts'

let server: ScriptedServer
beforeEach(() => {
  server = scriptedServer('ok')
})
afterEach(async () => {
  await server.close()
  await server.engine.close()
})

/** Bodies and paths with which each operation answers; routes without one are asked with a GET. */
const examples: Readonly<Record<string, { readonly url?: string; readonly body?: object }>> = {
  'POST /v1/chat/completions': { body: { messages: [{ role: 'user', content: 'Hi' }] } },
  'POST /v1/completions': { body: { prompt: 'Hi' } },
  'GET /v1/models/*': { url: '/v1/models/script' },
  'POST /api/chat': { body: { model: 'script', stream: false, messages: [{ role: 'user', content: 'Hi' }] } },
  'POST /api/generate': { body: { model: 'script', stream: false, prompt: 'Hi' } },
  'POST /api/show': { body: { model: 'script' } },
  'POST /v1/responses': { body: { input: 'Hi' } },
  'POST /v1/responses/input_tokens': { body: { input: 'Hi' } },
  'POST /v1/messages': {
    body: { model: 'script', max_tokens: 9, messages: [{ role: 'user', content: 'Hi' }] },
  },
  'POST /v1/messages/count_tokens': {
    body: { model: 'script', messages: [{ role: 'user', content: 'Hi' }] },
  },
  'POST /tokenize': { body: { prompt: 'Hi' } },
  'POST /detokenize': { body: { tokens: [72] } },
}

it('every route is described, and nothing else is', async () => {
  await server.app.ready()
  const served = server.routes()
  expect(served.filter((route) => operations[route] === undefined)).toEqual([])
  expect(Object.keys(operations).filter((route) => !served.includes(route))).toEqual([])
})

it.each(Object.entries(examples))('%s answers as it is described', async (route, { url, body }) => {
  const [method, path] = route.split(' ') as ['GET' | 'POST', string]
  const response = await server.app.inject({ method, url: url ?? path, ...(body && { payload: body }) })
  expect(response.statusCode, response.body).toBe(200)
  const { answer } = operations[route]!
  if (typeof answer !== 'string') answer.parse(response.json())
})

it('files, batches and whatever takes no body answer as they are described', async () => {
  const url = `http://127.0.0.1:${await listen(server)}`
  const form = new FormData()
  form.set('purpose', 'batch')
  const line = { custom_id: 'a', method: 'POST', url: '/v1/completions', body: { prompt: 'Hi' } }
  form.set('file', new File([JSON.stringify(line)], 'in.jsonl'))
  const ask = async (route: string, path: string, init: RequestInit = {}) => {
    const [method] = route.split(' ') as [string]
    const response = await fetch(url + path, { method, ...init })
    expect(response.status, route).toBe(200)
    const { answer } = operations[route]!
    const text = await response.text()
    if (typeof answer === 'string') expect(response.headers.get('content-type')).toContain(answer)
    else answer.parse(JSON.parse(text))
    return typeof answer === 'string' ? { id: '' } : (JSON.parse(text) as { id: string })
  }
  const { id: file } = await ask('POST /v1/files', '/v1/files', { body: form })
  const fields = { input_file_id: file, endpoint: '/v1/completions', completion_window: '1h' }
  const { id: batch } = await ask('POST /v1/batches', '/v1/batches', {
    body: JSON.stringify(fields),
    headers: { 'content-type': 'application/json' },
  })
  await ask('GET /v1/batches/:id', `/v1/batches/${batch}`)
  await ask('POST /v1/batches/:id/cancel', `/v1/batches/${batch}/cancel`)
  await ask('GET /v1/files/:id', `/v1/files/${file}`)
  await ask('GET /v1/files/:id/content', `/v1/files/${file}/content`)
  for (const route of Object.keys(operations)) {
    if (route.startsWith('GET') && !/[:*]/.test(route)) await ask(route, route.slice(4))
  }
  while (
    ((await (await fetch(`${url}/v1/batches/${batch}`)).json()) as { status: string }).status === 'cancelling'
  );
  await ask('DELETE /v1/files/:id', `/v1/files/${file}`)
})

it('lists say what they are lists of, and fields what they are for', () => {
  const body =
    openApiDocument('1').paths['/v1/chat/completions']?.['post']?.requestBody?.content['application/json']
  const { properties } = (body?.schema ?? {}) as {
    properties: Record<string, { items?: object; description?: string }>
  }
  expect(properties['messages']).toMatchObject({
    type: 'array',
    items: { properties: { role: { enum: expect.any(Array) } } },
  })
  expect(properties['temperature']?.description).toMatch(/likeliest/)
})

it('the page shows every path, and takes nothing from elsewhere', () => {
  const document = openApiDocument('1')
  const html = referencePage(document)
  for (const path of Object.keys(document.paths)) expect(html).toContain(`<code>${path}</code>`)
  expect(html).not.toMatch(/(src|href)="(https?:)?\/\//)
  expect(html).not.toContain('<script')
})
