import { createServer, type Server } from 'node:http'
import { createServer as createNetServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { micros } from '../core/units.ts'
import { percentile } from '../metrics/summary.ts'
import type { Workload, WorkloadRequest } from '../workload/workload.ts'
import { startNullServer, type NullServer, type NullServerOptions } from './null-server.ts'
import { replay, type ReplayOptions } from './replay.ts'
import { openAi } from './targets/openai.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function nullServer(options: NullServerOptions = {}): Promise<NullServer> {
  const server = await startNullServer(options)
  closing.push(() => server.close())
  return server
}

/** A server that answers every request with `write`. */
async function scripted(write: Parameters<typeof createServer>[1]): Promise<string> {
  const server: Server = createServer(write).listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const request = (atMs: number, fields: Partial<WorkloadRequest> = {}): WorkloadRequest => ({
  arrival: micros(atMs * 1000),
  tenant: 'a',
  program: undefined,
  turn: 0,
  gap: micros(0),
  gapKind: undefined,
  numPromptTokens: 4,
  numOutputTokens: 3,
  blocks: [atMs],
  serviceClass: 'default',
  ...fields,
})

const workload = (requests: readonly WorkloadRequest[]): Workload => ({
  name: 'test',
  blockSize: 16,
  provenance: [],
  requests,
})

function send(url: string, requests: readonly WorkloadRequest[], fields: Partial<ReplayOptions> = {}) {
  return replay({
    target: {
      name: 'test',
      endpoint: { url, apiKey: undefined },
      adapter: openAi,
      version: undefined,
      model: 'null',
    },
    vocabulary: { kind: 'words', words: ['one', 'two', 'three'] },
    workload: workload(requests),
    seed: 1,
    loop: { kind: 'open' },
    history: 'trace',
    timeoutMs: 5000,
    signal: new AbortController().signal,
    ...fields,
  })
}

describe('replaying a workload', () => {
  it('sends every request at its time and counts what came', async () => {
    const { url } = await nullServer()
    const records = await send(url, [request(0), request(30), request(60)])
    expect(records).toHaveLength(3)
    for (const { error, promptTokens, outputTokens, tokenTimes, intendedAt, sentAt } of records) {
      expect(error).toBeUndefined()
      expect([promptTokens, outputTokens, tokenTimes.length]).toEqual([4, 3, 3])
      expect(sentAt).toBeGreaterThanOrEqual(intendedAt - 1)
    }
  })

  it('shows a stall in the open loop for everybody who was due in it, where a closed loop hides it', async () => {
    const server = await nullServer({ stall: { fromMs: 100, toMs: 500 } })
    const requests = Array.from({ length: 60 }, (_, index) => request(index * 10))
    const p90 = (records: Awaited<ReturnType<typeof send>>): number =>
      percentile(
        records.map(({ firstTokenAt, intendedAt }) => firstTokenAt! - intendedAt).sort((a, b) => a - b),
        0.9,
      )
    const open = await send(server.url, requests)
    server.restartClock()
    const closed = await send(server.url, requests, { loop: { kind: 'closed', numUsers: 2 } })
    // Forty of sixty were due in the 400 ms: the tenth worst waited well over half of them.
    expect(p90(open)).toBeGreaterThan(200)
    expect(p90(closed)).toBeLessThan(100)
  })

  it('counts latency from when a request was due, however late its turn came up', async () => {
    const { url } = await nullServer()
    const late = request(0)
    const busy = {
      onSent: () => {
        const until = performance.now() + 60
        while (performance.now() < until);
      },
    }
    const records = await send(url, [late, request(1)], busy)
    const second = records.find(({ index }) => index === 1)!
    expect(second.sentAt - second.intendedAt).toBeGreaterThan(50)
    expect(second.intendedAt).toBe(1)
  })

  it("sends a program's turns one after another, each a gap after the end of the one before", async () => {
    const { url } = await nullServer({ firstTokenMs: 20 })
    const turn = (index: number): WorkloadRequest =>
      request(index, { program: 'p', turn: index, gap: micros(index === 0 ? 0 : 40_000) })
    const records = await send(url, [turn(0), turn(1), turn(2)])
    expect(records.map((record) => record.turn)).toEqual([0, 1, 2])
    for (let index = 1; index < 3; index += 1) {
      const sinceEnd = records[index]!.intendedAt - records[index - 1]!.endedAt
      expect(sinceEnd).toBeGreaterThan(39)
      expect(sinceEnd).toBeLessThan(60)
    }
  })

  it('starts a sub-agent when the turn that calls it has ended', async () => {
    const { url } = await nullServer({ firstTokenMs: 20 })
    const parent = request(0, { program: 'p' })
    const child = request(0, { program: 'q', after: { program: 'p', turn: 0 } })
    const [first, second] = await send(url, [parent, child])
    expect([first?.program, second?.program]).toEqual(['p', 'q'])
    expect(second!.sentAt).toBeGreaterThanOrEqual(first!.endedAt)
  })

  it('keeps a closed loop at its number of users', async () => {
    const { url } = await nullServer({ firstTokenMs: 20 })
    const requests = Array.from({ length: 9 }, (_, index) => request(index))
    const records = await send(url, requests, { loop: { kind: 'closed', numUsers: 3 } })
    expect(records).toHaveLength(9)
    for (const { sentAt } of records) {
      const underWay = records.filter((other) => other.sentAt <= sentAt && other.endedAt > sentAt)
      expect(underWay.length).toBeLessThanOrEqual(3)
    }
  })

  it('starts a sub-agent in a closed loop too only when the turn that calls it has ended', async () => {
    const { url } = await nullServer({ firstTokenMs: 20 })
    const parent = request(0, { program: 'p' })
    const child = request(0, { program: 'q', after: { program: 'p', turn: 0 } })
    const requests = [parent, child, request(0, { program: 'r' }), request(1)]
    const records = await send(url, requests, { loop: { kind: 'closed', numUsers: 4 } })
    expect(records).toHaveLength(4)
    const of = (program: string) => records.find((record) => record.program === program)!
    expect(of('q').sentAt).toBeGreaterThanOrEqual(of('p').endedAt)
    expect(of('r').sentAt).toBeLessThan(of('p').endedAt)
  })

  it('waits for what is due in a month without spinning', async () => {
    const { url } = await nullServer()
    const warnings: Error[] = []
    const warn = (warning: Error): unknown => warnings.push(warning)
    process.on('warning', warn)
    const abort = new AbortController()
    const onRecord = (): void => void setImmediate(() => abort.abort())
    const month = request(2 ** 31 + 1000)
    expect(await send(url, [request(0), month], { signal: abort.signal, onRecord })).toHaveLength(1)
    process.off('warning', warn)
    expect(warnings).toEqual([])
  })

  it('asks again when a kept connection turns out to be closed, which is no failure of the server', async () => {
    let numConnections = 0
    const server = createNetServer((socket) => {
      numConnections += 1
      let numRequests = 0
      socket.on('data', () => {
        numRequests += 1
        // The second request on a connection meets what a timeout of the server leaves: a reset.
        if (numRequests === 2) return void socket.resetAndDestroy()
        const body = 'data: {"choices":[{"text":"x"}]}\n\ndata: [DONE]\n\n'
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    closing.push(() => server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const closed = { loop: { kind: 'closed', numUsers: 1 } } as const
    const records = await send(url, [request(0), request(1), request(2)], closed)
    expect(records.map(({ error }) => error)).toEqual([undefined, undefined, undefined])
    expect(numConnections).toBe(3)
  })

  it("puts the server's own answer into the next turn's prompt, which keeps its length", async () => {
    const prompts: number[][] = []
    const url = await scripted(async (incoming, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of incoming) chunks.push(chunk as Buffer)
      prompts.push((JSON.parse(Buffer.concat(chunks).toString()) as { prompt: number[] }).prompt)
      response.end('data: {"choices":[{"text":"x","token_ids":[701,702]}]}\n\ndata: [DONE]\n\n')
    })
    const vocabulary = { kind: 'tokens', ids: [101, 102, 103] } as const
    const next = { program: 'p', turn: 1, includesAnswer: true, numPromptTokens: 9, blocks: [0, 1] }
    const turns = [request(0, { program: 'p', blocks: [0], numOutputTokens: 2 }), request(1, next)]
    await send(url, turns, { vocabulary, history: 'actual', workload: { ...workload(turns), blockSize: 8 } })
    expect(prompts[1]).toHaveLength(9)
    expect(prompts[1]!.slice(0, 6)).toEqual([...prompts[0]!, 701, 702])
  })

  it.each([
    ['what is no JSON', 'data: {"choices": oops\n\n', /^malformed event: \{"choices": oops/],
    ['what is no answer', 'data: {"choices": 7}\n\n', /^malformed event: /],
    ['lines that are no events', 'hello world\n\n', /^malformed event: hello/],
    ['an error', 'data: {"error":{"message":"out of luck"}}\n\n', /^out of luck$/],
    ['nothing', '', /^the stream ended without a token$/],
    [
      'more after the end',
      'data: {"choices":[{"text":"x"}]}\n\ndata: [DONE]\n\ndata: {}\n\n',
      /^malformed event: \{\} after/,
    ],
  ])('names a server that streams %s', async (_name, body, error) => {
    const url = await scripted((_request, response) => void response.end(body))
    const [record] = await send(url, [request(0)])
    expect(record?.error).toMatch(error)
  })

  it('names a server that hangs up in the middle, or says nothing for too long', async () => {
    const cut = await scripted((_request, response) => {
      response.write('data: {"choices":[{"text":"x"}]}\n\n', () => response.destroy())
    })
    expect((await send(cut, [request(0)]))[0]?.error).toMatch(/aborted|cut off|ECONNRESET/)
    const silent = await scripted(() => undefined)
    expect((await send(silent, [request(0)], { timeoutMs: 50 }))[0]?.error).toMatch(/silent for 50 ms/)
  })

  it("repeats a refusal in the server's own words", async () => {
    const url = await scripted((_request, response) => {
      response.statusCode = 429
      response.end('{"error":{"message":"slow down"}}')
    })
    expect((await send(url, [request(0)]))[0]?.error).toBe('429: slow down')
  })

  it('ends at once when it is interrupted, with the records of what had ended', async () => {
    const { url } = await nullServer({ gapMs: 1000 })
    const abort = new AbortController()
    const quick = request(0, { numOutputTokens: 1 })
    const onRecord = (): void => abort.abort()
    const records = await send(url, [quick, request(0), request(60_000)], { signal: abort.signal, onRecord })
    expect(records).toHaveLength(1)
  })
})
