/** Clients of a pool that is too small for them: who is put back and leaves must leave nothing behind. */
import { afterEach, expect, it } from 'vitest'
import type { ApiServer } from '../../src/api/server.ts'
import { InProcessClient } from '../../src/engine/in-process-client.ts'
import type { EngineStats } from '../../src/engine/protocol.ts'
import { byteServer, listen } from '../support/api-server.ts'

const numBlocks = 16

let engine: InProcessClient
let server: ApiServer
afterEach(async () => {
  await server.close()
  await engine.close()
})

async function open(): Promise<
  (prompt: string, maxTokens: number, abort?: AbortController) => Promise<Response>
> {
  engine = new InProcessClient({
    executor: { kind: 'fake', vocabSize: 258, maxModelLen: 250, blockSize: 16, numBlocks, stepMicros: 4000 },
    scheduler: { maxNumSeqs: 8, maxNumBatchedTokens: 64, maxTbtMs: undefined, policy: 'fcfs' },
  })
  await engine.ready()
  server = byteServer(engine)
  const port = await listen(server)
  return (prompt, maxTokens, abort) =>
    fetch(`http://127.0.0.1:${port}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt, max_tokens: maxTokens, ignore_eos: true, stream: true, temperature: 0 }),
      signal: abort?.signal ?? null,
    })
}

function stepWhere(condition: (stats: EngineStats) => boolean): Promise<EngineStats> {
  return new Promise((resolve) => {
    const stop = engine.onStep((stats) => {
      if (!condition(stats)) return
      stop()
      resolve(stats)
    })
  })
}

it('a client that leaves while its request waits after a preemption takes it along', async () => {
  const stream = await open()
  const leaving = new AbortController()
  const first = await stream('the first one stays', 200)
  const second = await stream('the second one leaves', 200, leaving)
  const broken = expect(second.text()).rejects.toThrow()
  await stepWhere(({ numPreemptionsTotal, numWaiting }) => numPreemptionsTotal > 0 && numWaiting === 1)
  const gone = stepWhere(({ numWaiting, numRunning }) => numWaiting === 0 && numRunning === 1)
  leaving.abort()
  await broken
  // The first is still running: nobody waits behind it any more.
  await gone
  expect(await first.text()).toMatch(/"finish_reason":"length"[^]*\[DONE\]\s*$/)
  const after = await stream('the pool is whole again', 20)
  expect(await after.text()).toMatch(/"finish_reason":"length"[^]*\[DONE\]\s*$/)
  await engine.checkInvariants()
  expect(engine.stats).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeBlocks: numBlocks })
})
