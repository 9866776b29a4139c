/** Streams over real sockets: the official client where it can ask for it, a raw connection where it cannot. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createParser } from 'eventsource-parser'
import OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import { listen, scriptedServer, type ScriptedServer } from '../../test/support/api-server.ts'

let server: ScriptedServer
let port: number
let client: OpenAI

async function start(...options: Parameters<typeof scriptedServer>): Promise<void> {
  server = scriptedServer(...options)
  port = await listen(server)
  client = new OpenAI({ apiKey: 'none', baseURL: `http://127.0.0.1:${port}/v1`, maxRetries: 0 })
}

afterEach(async () => {
  await server.close()
  await server.engine.close()
})

const ask = { model: 'script', messages: [{ role: 'user' as const, content: 'Hi' }] }
const post = (body: object) =>
  fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

function eventsOf(text: string): string[] {
  const events: string[] = []
  createParser({ onEvent: ({ data }) => events.push(data) }).feed(text)
  return events
}

/** Sends a request by hand and leaves the answer unread. */
function sendUnread(body: object): Socket {
  const payload = JSON.stringify(body)
  const socket = connect(port, '127.0.0.1')
  socket.pause()
  socket.write(
    'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n' +
      `content-length: ${Buffer.byteLength(payload)}\r\n\r\n${payload}`,
  )
  return socket
}

function* endless(): Generator<number> {
  for (;;) yield 97
}

describe('a chat stream', () => {
  it('opens with the role, goes on with text, and closes with the reason, the usage and the end mark', async () => {
    await start('Hé!')
    const response = await post({ ...ask, stream: true, stream_options: { include_usage: true } })
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    expect(response.headers.get('x-request-id')).toBeTruthy()
    const events = eventsOf(await response.text())
    expect(events.pop()).toBe('[DONE]')
    const chunks = events.map((event) => JSON.parse(event))
    expect(chunks.map(({ choices }) => choices[0]?.delta)).toEqual([
      { role: 'assistant', content: '' },
      { content: 'H' },
      { content: 'é' },
      { content: '!' },
      {},
      undefined,
    ])
    expect(chunks.map(({ usage }) => usage)).toMatchObject([
      null,
      null,
      null,
      null,
      null,
      { completion_tokens: 5 },
    ])
    expect(chunks[4]).toMatchObject({ choices: [{ finish_reason: 'stop' }], timings: { predicted_n: 5 } })
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1)
  })

  it('keeps its choices apart', async () => {
    await start(({ sampling }) => Buffer.from(String(sampling.seed)))
    const texts = ['', '']
    const stream = await client.chat.completions.create({ ...ask, n: 2, seed: 100, stream: true })
    for await (const { choices } of stream) {
      for (const { index, delta } of choices) texts[index] += delta.content ?? ''
    }
    expect(texts).toEqual(['100', '101'])
  })

  it('never shows the beginning of a stop string', async () => {
    await start('so far STOP and on')
    const stream = await client.chat.completions.create({ ...ask, stop: 'STOP', stream: true })
    let text = ''
    let reason: string | null | undefined
    for await (const { choices } of stream) {
      text += choices[0]?.delta.content ?? ''
      expect(text).not.toContain('S')
      reason = choices[0]?.finish_reason
    }
    expect([text, reason]).toEqual(['so far ', 'stop'])
  })

  it('carries the probabilities of its tokens', async () => {
    await start('ab')
    const stream = await client.chat.completions.create({
      ...ask,
      logprobs: true,
      top_logprobs: 1,
      stream: true,
    })
    const tokens: string[] = []
    for await (const { choices } of stream) {
      for (const { token } of choices[0]?.logprobs?.content ?? []) tokens.push(token)
    }
    expect(tokens).toEqual(['a', 'b', '<|im_end|>'])
  })

  it('ends with an error object when the engine fails', async () => {
    await start(() => [65, new Error('The kernel failed.')])
    const events = eventsOf(await (await post({ ...ask, stream: true })).text())
    expect(JSON.parse(events.at(-1) ?? '')).toMatchObject({ error: { message: 'The kernel failed.' } })
    const stream = await client.chat.completions.create({ ...ask, stream: true })
    const read = async () => {
      for await (const _ of stream);
    }
    await expect(read()).rejects.toThrow('The kernel failed.')
  })

  it('gives text completions in their own form', async () => {
    await start('abc')
    const stream = await client.completions.create({
      model: 'script',
      prompt: 'x',
      logprobs: 1,
      stream: true,
    })
    const offsets: number[] = []
    let text = ''
    for await (const { choices } of stream) {
      text += choices[0]?.text ?? ''
      offsets.push(...(choices[0]?.logprobs?.text_offset ?? []))
    }
    expect(text).toBe('abc')
    expect(offsets).toEqual([0, 1, 2, 3])
  })
})

describe('a client that goes away', () => {
  it('ends its sequences, streaming', async () => {
    await start(endless, { maxModelLen: 1e9 })
    const stream = await client.chat.completions.create({ ...ask, n: 2, stream: true })
    for await (const _ of stream) break
    await server.engine.idle()
    expect(server.engine.numCancelled).toBe(2)
  })

  it('ends its sequence, waiting for a whole answer', async () => {
    await start(endless, { maxModelLen: 1e9 })
    const abort = new AbortController()
    const answer = client.chat.completions.create(ask, { signal: abort.signal })
    while (server.engine.numLive === 0) await new Promise(setImmediate)
    abort.abort()
    await expect(answer).rejects.toThrow()
    await server.engine.idle()
    expect(server.engine.numCancelled).toBe(1)
  })

  it('starts nothing when it left while the engine was coming back', async () => {
    await start('x')
    let comeBack: () => void = () => undefined
    const restarting = new Promise<void>((resolve) => (comeBack = resolve))
    const info = await server.engine.ready()
    const asked = new Promise<void>((resolve) => {
      server.engine.ready = async () => {
        resolve()
        await restarting
        return info
      }
    })
    const socket = sendUnread({ ...ask, stream: true })
    const [serverSide] = (await once(server.app.server, 'connection')) as [Socket]
    await asked
    socket.destroy()
    await once(serverSide, 'close')
    comeBack()
    // The handler goes on in microtasks, which are all done by then.
    await new Promise(setImmediate)
    expect(server.engine.requests).toEqual([])
  })
})

describe('a slow reader', () => {
  it(
    'gets the whole answer in fewer, larger pieces, and keeps nobody waiting',
    { timeout: 60_000 },
    async () => {
      const numTokens = 60_000
      await start(
        function* ({ promptTokens }) {
          const length = promptTokens.includes(90) ? numTokens : 3
          for (let index = 0; index < length; index++) yield 97 + (index % 26)
        },
        { maxModelLen: 1e6 },
      )
      const socket = sendUnread({ messages: [{ role: 'user', content: 'Z' }], stream: true })
      const [serverSide] = (await once(server.app.server, 'connection')) as [Socket]
      let mostBuffered = 0
      server.engine.onStep(() => (mostBuffered = Math.max(mostBuffered, serverSide.writableLength)))
      while (server.engine.numLive === 0) await new Promise(setImmediate)
      const other = await client.chat.completions.create(ask)
      expect(other.choices[0]?.message.content).toBe('abc')
      await server.engine.idle()
      expect(mostBuffered).toBeLessThan(1_000_000)

      let received = ''
      socket.setEncoding('utf8').on('data', (text: string) => (received += text))
      socket.resume()
      await once(socket, 'close')
      const events = [...received.matchAll(/^data: (\{.*\})$/gm)].map(([, json]) => JSON.parse(json ?? ''))
      const text = events.map(({ choices }) => choices[0]?.delta.content ?? '').join('')
      expect(text).toHaveLength(numTokens)
      expect(text.startsWith('abcdefg')).toBe(true)
      expect(events.length).toBeLessThan(numTokens)
      expect(events.at(-1)).toMatchObject({ choices: [{ finish_reason: 'stop' }] })
      expect(received).toContain('data: [DONE]')
    },
  )
})

describe('draining', () => {
  it('lets a stream reach its end mark before the server closes', async () => {
    await start('Hello')
    server.engine.pause()
    const response = await post({ ...ask, stream: true })
    const closed = server.drain().then(() => server.close())
    server.engine.resume()
    expect(eventsOf(await response.text()).at(-1)).toBe('[DONE]')
    await closed
  })

  it('waits for a reader who has not taken the end of an answer yet', async () => {
    const numTokens = 6000
    await start(() => Array.from({ length: numTokens }, (_, index) => 97 + (index % 26)), {
      maxModelLen: 10_000,
    })
    const socket = sendUnread({ messages: ask.messages, logprobs: true, top_logprobs: 20 })
    while (server.engine.numLive === 0) await new Promise(setImmediate)
    await server.engine.idle()
    let isDrained = false
    const closed = server.drain().then(() => {
      isDrained = true
      return server.close()
    })
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
    expect(isDrained).toBe(false)

    let received = ''
    socket.setEncoding('utf8').on('data', (text: string) => (received += text))
    socket.resume()
    await Promise.all([closed, once(socket, 'close')])
    const body = JSON.parse(received.slice(received.indexOf('\r\n\r\n')))
    expect(body.choices[0].logprobs.content).toHaveLength(numTokens)
  })
})
