/** A thousand clients that leave at a random moment of their request: nothing of them may stay behind. */
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { afterEach, expect, it } from 'vitest'
import type { ApiServer } from '../../src/api/server.ts'
import { RandomStream } from '../../src/core/random.ts'
import { InProcessClient } from '../../src/engine/in-process-client.ts'
import { byteServer, listen, scriptedServer } from '../support/api-server.ts'

const numConnections = 1000
const numAtOnce = 50
const seed = 20_240_607
/** A few prompts fill it: the others wait. */
const numBlocks = 64

interface RequestShape {
  /** In characters, which are tokens here. */
  readonly longestPrompt: number
}

let close: () => Promise<void>

afterEach(() => close())

async function open(server: ApiServer, engine: { close(): Promise<void> }): Promise<number> {
  close = async () => {
    await server.close()
    await engine.close()
  }
  return listen(server)
}

it('a thousand dropped connections leave no sequence and no file behind', async () => {
  const server = scriptedServer(({ id }) => scriptOf(id), { maxModelLen: 100_000 })
  const { engine } = server
  const port = await open(server, engine)
  await dropConnections(server, port, { longestPrompt: 2000 })
  await engine.idle()
  expect(engine.requests.length).toBeGreaterThan(numConnections / 2)
  expect(engine.numCancelled).toBeGreaterThan(numConnections / 4)
  expect(engine.numListeners).toBe(3)
  await server.drain()
})

it('a thousand dropped connections leave no block behind, whether they ran or still waited', async () => {
  const engine = new InProcessClient({
    executor: {
      kind: 'fake',
      vocabSize: 258,
      maxModelLen: 4096,
      blockSize: 16,
      numBlocks,
      endProbability: 0.005,
    },
    scheduler: { maxNumSeqs: 32, maxNumBatchedTokens: 512, maxTbtMs: undefined, policy: 'fcfs' },
  })
  const server = byteServer(engine)
  const port = await open(server, engine)
  await engine.ready()
  let mostRunning = 0
  let mostWaiting = 0
  engine.onStep(({ numRunning, numWaiting }) => {
    mostRunning = Math.max(mostRunning, numRunning)
    mostWaiting = Math.max(mostWaiting, numWaiting)
  })
  await dropConnections(server, port, { longestPrompt: 300 })
  // Resolves when each sequence that was started has ended.
  await server.drain()
  await engine.checkInvariants()
  expect(mostRunning).toBeGreaterThan(1)
  expect(mostWaiting).toBeGreaterThan(1)
  expect(engine.stats).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeBlocks: numBlocks, numBlocks })
})

/** Some answers end by themselves, most would go on for ever. */
function* scriptOf(id: string): Generator<number> {
  const isShort = Number.parseInt(id.slice(0, 1), 16) < 4
  for (let index = 0; !isShort || index < 20; index++) yield 97 + (index % 26)
}

/** Opens and drops all connections; afterwards the server is healthy and as many files are open as before. */
async function dropConnections(server: ApiServer, port: number, shape: RequestShape): Promise<void> {
  await checkHealth(server, port)
  const numFilesBefore = openFiles()
  const random = new RandomStream(seed)
  let numStarted = 0
  const worker = async (stream: RandomStream) => {
    while (numStarted++ < numConnections) await openAndLeave(port, stream, shape)
  }
  await Promise.all(Array.from({ length: numAtOnce }, (_, index) => worker(random.split(index))))
  await checkHealth(server, port)
  expect(openFiles()).toBeLessThanOrEqual(numFilesBefore)
}

async function checkHealth(server: ApiServer, port: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/health`, { headers: { connection: 'close' } })
  expect(response.status).toBe(200)
  await response.text()
  while ((await numConnected(server)) > 0) await setImmediate()
}

const openFiles = () => readdirSync('/proc/self/fd').length

const numConnected = (server: ApiServer) =>
  new Promise<number>((resolve, reject) => {
    server.app.server.getConnections((error, count) => (error ? reject(error) : resolve(count)))
  })

async function openAndLeave(port: number, random: RandomStream, shape: RequestShape): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  const closed = new Promise((resolve) => socket.once('close', resolve))
  // The server may answer with a reset: that is one of the ways to part.
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  const text = requestText(random, shape)
  const isWhole = random.next() < 0.8
  socket.write(isWhole ? text : text.slice(0, random.below(text.length)))
  if (random.next() < 0.5) socket.resume()
  const numTurns = random.below(60)
  for (let turn = 0; turn < numTurns; turn++) await setImmediate()
  leave(socket, random)
  await closed
}

function requestText(random: RandomStream, { longestPrompt }: RequestShape): string {
  const body = JSON.stringify({
    messages: [{ role: 'user', content: 'x'.repeat(random.below(longestPrompt)) }],
    stream: random.next() < 0.7,
    n: 1 + random.below(3),
  })
  const head =
    'POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n' +
    `content-length: ${Buffer.byteLength(body)}\r\n\r\n`
  return head + body
}

function leave(socket: Socket, random: RandomStream): void {
  if (random.next() < 0.3) socket.resetAndDestroy()
  else socket.destroy()
}
