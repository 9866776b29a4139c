import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createRequest, generate } from '../../test/support/generate.ts'
import { toRequestId } from '../core/units.ts'
import type { FakeExecutorOptions } from '../executor/fake-executor.ts'
import { createEngine, type Carrier, type EngineOptions } from './create-engine.ts'
import type { EngineClient, SequenceEvent } from './engine-client.ts'
import { systemClock } from './system-clock.ts'

const fake = { kind: 'fake', vocabSize: 50, maxModelLen: 200, blockSize: 4, numBlocks: 64 } as const
const optionsWith = (changes: Partial<FakeExecutorOptions> = {}): EngineOptions => ({
  executor: { ...fake, ...changes },
  scheduler: { maxNumSeqs: 8, maxNumBatchedTokens: 64, maxTbtMs: undefined, policy: 'fcfs' },
})

const prompts = Array.from({ length: 8 }, (_, index) => [index + 1, 2 * index + 1, 7])
const drawn = { temperature: 1, seed: 5, frequencyPenalty: 0.5, topLogprobs: 2 }

let run = 0
async function outputs(engine: EngineClient, onToken?: (count: number) => void): Promise<number[][]> {
  run += 1
  const results = await Promise.all(
    prompts.map((promptTokens, index) => {
      const sampling = index % 2 === 0 ? {} : { ...drawn, seed: index }
      return generate(engine, { id: `run${run}-${index}`, promptTokens, maxTokens: 40, sampling }, onToken)
    }),
  )
  for (const { finish } of results) expect(finish.reason).toBe('length')
  return results.map(({ tokens }) => tokens)
}

/** All events of one request. */
function eventsOf(
  engine: EngineClient,
  request: Parameters<typeof createRequest>[0],
): Promise<SequenceEvent[]> {
  const events: SequenceEvent[] = []
  return new Promise((resolve) => {
    engine.submit(createRequest(request), (event) => {
      events.push(event)
      if (event.kind === 'finished') resolve(events)
    })
  })
}

let undisturbed: number[][]
beforeAll(async () => {
  const engine = createEngine(optionsWith(), 'in-process')
  undisturbed = await outputs(engine)
  await engine.close()
})

describe.each<Carrier>(['in-process', 'child'])('an engine (%s)', (carrier) => {
  let engine: EngineClient
  beforeAll(async () => {
    // Eight requests have no room together in such a pool. Token 49 ends texts: nobody generates it here.
    engine = createEngine(optionsWith({ numBlocks: 50, nanToken: 49 }), carrier)
    await engine.ready()
  })
  afterAll(() => engine.close())

  it('gives every request the tokens it would get alone, through preemptions', async () => {
    expect(await outputs(engine)).toEqual(undisturbed)
    expect(engine.stats?.numPreemptionsTotal).toBeGreaterThan(0)
    expect(engine.stats).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeBlocks: 50 })
  })

  it('tells where the time of each request went, from its arrival to its end, without gaps', async () => {
    const results = await Promise.all(
      prompts.map((promptTokens, index) =>
        generate(engine, { id: `timed${index}`, promptTokens, maxTokens: 40 }),
      ),
    )
    let numWaits = 0
    for (const { finish } of results) {
      const { arrivedAt, finishedAt, intervals, numCachedTokens } = finish.timings
      const total = intervals.reduce((sum, { from, to }) => sum + to - from, 0)
      expect(total).toBe(finishedAt - arrivedAt)
      expect(intervals[0]).toMatchObject({ kind: 'received', from: arrivedAt })
      expect(intervals.at(-1)).toMatchObject({ kind: 'decode', to: finishedAt })
      const computed = intervals.reduce((sum, { numTokens }) => sum + numTokens, 0)
      expect(computed + numCachedTokens).toBeGreaterThanOrEqual(3 + 40 - 1)
      numWaits += intervals.filter(({ kind }) => kind === 'preempted').length
    }
    expect(numWaits).toBeGreaterThan(0)
  })

  it('refuses a prompt that can never fit, saying by how many tokens', async () => {
    const promptTokens = Array.from({ length: 205 }, () => 1)
    const { finish } = await generate(engine, { id: 'long', promptTokens })
    expect(finish).toMatchObject({ reason: 'error', error: { code: 'PROMPT_TOO_LONG' } })
    expect(finish.error?.message).toContain('6 tokens too long')
  })

  it('refuses an id that is taken, and serves the one that has it', async () => {
    const [first, second] = await Promise.all([
      generate(engine, { id: 'twice', promptTokens: [1], maxTokens: 3 }),
      generate(engine, { id: 'twice', promptTokens: [2], maxTokens: 3 }),
    ])
    expect(first.tokens).toHaveLength(3)
    expect(second.finish.error?.code).toBe('INVALID_REQUEST')
  })

  it('fails the request whose logits are broken, and nobody else', async () => {
    const [broken, whole] = await Promise.all([
      generate(engine, { id: 'broken', promptTokens: [49] }),
      generate(engine, { id: 'whole', promptTokens: [1], maxTokens: 5 }),
    ])
    expect(broken.finish.error).toEqual({ code: 'INTERNAL', message: 'the model produced NaN logits' })
    expect(whole.tokens).toHaveLength(5)
  })

  it('cancels at the next step and frees the blocks', async () => {
    const cancelled = await generate(engine, { id: 'c', promptTokens: [1, 2], maxTokens: 190 }, (count) => {
      if (count === 3) engine.cancel(toRequestId('c'))
    })
    expect(cancelled.finish).toMatchObject({ reason: 'cancelled', error: undefined })
    expect(cancelled.tokens.length).toBeLessThan(100)
    expect(engine.stats).toMatchObject({ numRunning: 0, numFreeBlocks: 50 })
  })

  it('cancels in the turn of submitting, with one event', async () => {
    const events = eventsOf(engine, { id: 'regretted', promptTokens: [1], maxTokens: 190 })
    engine.cancel(toRequestId('regretted'))
    engine.cancel(toRequestId('regretted'))
    expect((await events).at(-1)).toMatchObject({ kind: 'finished', reason: 'cancelled' })
  })

  it('continues a request that brings its first tokens along', async () => {
    const request = { promptTokens: [3, 4], maxTokens: 20, sampling: drawn }
    const whole = await generate(engine, { id: 'a', ...request })
    const outputTokens = whole.tokens.slice(0, 8)
    const rest = await generate(engine, { id: 'b', ...request, outputTokens })
    expect([...outputTokens, ...rest.tokens]).toEqual(whole.tokens)
  })

  it('delivers logprobs with their tokens, and the times of its stations in order', async () => {
    const events = await eventsOf(engine, { id: 'e', promptTokens: [3], maxTokens: 4, sampling: drawn })
    for (const event of events) {
      if (event.kind === 'tokens') {
        expect(event.logprobs).toHaveLength(event.tokenIds.length)
        continue
      }
      const { arrivedAt, firstScheduledAt, firstTokenAt, finishedAt } = event.timings
      const stations = [arrivedAt, firstScheduledAt!, firstTokenAt!, finishedAt, systemClock.now()]
      expect(stations).toEqual(stations.toSorted((a, b) => a - b))
    }
  })

  it('tells each step once', async () => {
    const steps: number[] = []
    const stop = engine.onStep(({ step }) => steps.push(step))
    await generate(engine, { id: 's', promptTokens: [1], maxTokens: 10 })
    await generate(engine, { id: 'refused', promptTokens: [] })
    stop()
    await generate(engine, { id: 'unheard', promptTokens: [1], maxTokens: 2 })
    expect(steps).toEqual(Array.from({ length: 10 }, (_, index) => steps[0]! + index))
  })
})

describe.each<Carrier>(['in-process', 'child'])('the end of an engine (%s)', (carrier) => {
  let engine: EngineClient
  afterEach(() => engine.close())

  it('fails what is unfinished, and what comes later', async () => {
    engine = createEngine(optionsWith({ stepMicros: 2000 }), carrier)
    const begun = new Promise<void>((resolve) => engine.onStep(() => resolve()))
    const unfinished = generate(engine, { id: 'u', promptTokens: [1], maxTokens: 190 })
    await begun
    await engine.close()
    const message = 'The engine was closed.'
    expect((await unfinished).finish).toMatchObject({
      reason: 'error',
      error: { code: 'ENGINE_FAILED', message },
    })
    const later = await generate(engine, { id: 'later', promptTokens: [1] })
    expect(later.finish.error?.message).toBe(message)
    await expect(engine.ready()).rejects.toThrow(message)
  })

  it('says why a model cannot be loaded, to all who ask', async () => {
    engine = createEngine(optionsWith({ modelPath: '/nowhere/model.gguf' }), carrier)
    const early = generate(engine, { id: 'early', promptTokens: [1] })
    await expect(engine.ready()).rejects.toMatchObject({ code: 'INVALID_MODEL' })
    expect(engine.status).toEqual({ state: 'failed', message: '/nowhere/model.gguf does not exist' })
    expect(await engine.failed()).toMatchObject({ code: 'INVALID_MODEL' })
    expect((await early).finish.error?.code).toBe('ENGINE_FAILED')
    const late = await generate(engine, { id: 'late', promptTokens: [1] })
    expect(late.finish.error?.message).toContain('/nowhere/model.gguf')
  })
})

describe('an engine in this process', () => {
  it('fails everybody when a step breaks', async () => {
    const engine = createEngine(optionsWith({ brokenToken: 49 }), 'in-process')
    const results = await Promise.all([
      generate(engine, { id: 'a', promptTokens: [1], maxTokens: 100 }),
      generate(engine, { id: 'b', promptTokens: [49] }),
    ])
    for (const { finish } of results) expect(finish.error?.code).toBe('ENGINE_FAILED')
    expect(engine.status.state).toBe('failed')
    expect((await engine.failed()).message).toContain('no kernel for token 49')
    const { finish } = await generate(engine, { id: 'c', promptTokens: [1] })
    expect(finish.error?.message).toContain('no kernel for token 49')
    await engine.close()
  })
})

describe('an engine in a process of its own', () => {
  it('goes on where it was when that is killed: 8 streams end with the answers they would have had', async () => {
    const engine = createEngine(optionsWith({ stepMicros: 1000 }))
    const { pid } = await engine.ready()
    let kills = 0
    const disturbed = await outputs(engine, (count) => {
      if (count === 10 && kills++ === 0) process.kill(pid, 'SIGKILL')
    })
    expect(kills).toBe(8)
    expect(disturbed).toEqual(undisturbed)
    expect((await engine.ready()).pid).not.toBe(pid)
    await engine.close()
  })
})
