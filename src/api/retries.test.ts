/** Clients that are told to come back later, and do. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText } from 'ai'
import OpenAI from 'openai'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { amplyAdmitting, listen, scriptedServer, type ScriptedServer } from '../../test/support/api-server.ts'

const ask = { model: 'script', messages: [{ role: 'user' as const, content: 'Hi' }] }

let server: ScriptedServer
let baseURL: string
/** When each request for an answer arrived, and what became of it. */
let seen: { readonly at: number; readonly status: number }[]

beforeEach(async () => {
  server = scriptedServer('Hello', { admission: { ...amplyAdmitting, maxRequests: 1 } })
  seen = []
  server.app.addHook('onSend', async (_request, reply) => {
    seen.push({ at: performance.now(), status: reply.statusCode })
    if (reply.statusCode === 429) server.engine.resume()
  })
  baseURL = `http://127.0.0.1:${await listen(server)}/v1`
})

afterEach(async () => {
  await server.close()
  await server.engine.close()
})

/** Takes the only place; it is free once somebody else was refused. */
async function fill(): Promise<Response> {
  server.engine.pause()
  const first = fetch(`${baseURL}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(ask),
  })
  await expect.poll(() => server.engine.numLive).toBe(1)
  return first
}

/** The server says one second. By themselves, one of the clients would wait half of that and the other twice. */
function checkWait(): void {
  const refused = seen.find(({ status }) => status === 429)
  const answered = seen.at(-1)
  expect(answered?.status).toBe(200)
  const waited = (answered?.at ?? 0) - (refused?.at ?? 0)
  expect(waited).toBeGreaterThan(950)
  expect(waited).toBeLessThan(1900)
}

it("holds for OpenAI's client", async () => {
  const client = new OpenAI({ apiKey: 'none', baseURL, maxRetries: 1 })
  const first = fill()
  await expect.poll(() => server.engine.numLive).toBe(1)
  const { choices } = await client.chat.completions.create(ask)
  expect(choices[0]?.message.content).toBe('Hello')
  checkWait()
  expect((await first).status).toBe(200)
})

it("holds for Vercel's AI SDK", async () => {
  const model = createOpenAICompatible({ name: 'switchyard', baseURL }).chatModel('script')
  const first = fill()
  await expect.poll(() => server.engine.numLive).toBe(1)
  const { text } = await generateText({ model, prompt: 'Hi', maxRetries: 1 })
  expect(text).toBe('Hello')
  checkWait()
  expect((await first).status).toBe(200)
})
