import { afterEach, describe, expect, it } from 'vitest'
import { createRequest, generate } from '../../test/support/generate.ts'
import { toRequestId } from '../core/units.ts'
import { createEngine, type Carrier, type EngineOptions } from './create-engine.ts'
import type { EngineClient } from './engine-client.ts'

const scheduler = { maxNumSeqs: 8, maxNumBatchedTokens: 64, maxTbtMs: undefined, policy: 'fcfs' } as const
const fake = { kind: 'fake', vocabSize: 50, maxModelLen: 200, blockSize: 4, numBlocks: 64 } as const
const options: EngineOptions = { executor: fake, scheduler }

const open: EngineClient[] = []
function start(
  changes: { numBlocks?: number; lethalToken?: number; stepMicros?: number } = {},
  carrier: Carrier = 'child',
) {
  const engine = createEngine({ ...options, executor: { ...fake, ...changes } }, carrier)
  open.push(engine)
  return engine
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.close()))
})

const prompts = Array.from({ length: 8 }, (_, index) => [index + 1, 2 * index + 1, 7])

async function outputs(engine: EngineClient, onToken?: (count: number) => void): Promise<number[][]> {
  const results = await Promise.all(
    prompts.map((promptTokens, index) =>
      generate(engine, { id: `r${index}`, promptTokens, maxTokens: 40 }, onToken),
    ),
  )
  return results.map(({ tokens }) => tokens)
}

describe.each(['in-process', 'child'] as const)('an engine (%s)', (carrier) => {
  it('gives every request the tokens it would get alone', async () => {
    const engine = start({}, carrier)
    const together = await outputs(engine)
    for (const [index, promptTokens] of prompts.entries()) {
      const { tokens } = await generate(engine, { id: `alone${index}`, promptTokens, maxTokens: 40 })
      expect(together[index]).toEqual(tokens)
    }
  })

  it("preempts when the pool is too small for all, and changes nobody's tokens", async () => {
    const engine = start({ numBlocks: 20 }, carrier)
    const together = await outputs(engine)
    expect(engine.stats?.numPreemptionsTotal).toBeGreaterThan(0)
    expect(together).toEqual(await outputs(start({}, carrier)))
  })

  it('refuses a prompt that can never fit, saying by how many tokens', async () => {
    const promptTokens = Array.from({ length: 205 }, () => 1)
    const { finish } = await generate(start({}, carrier), { id: 'long', promptTokens })
    expect(finish.error?.code).toBe('PROMPT_TOO_LONG')
    expect(finish.error?.message).toContain('6 tokens too long')
  })

  it('cancels at the next step and frees the blocks', async () => {
    const engine = start({ stepMicros: 1000 }, carrier)
    const cancelled = await generate(engine, { id: 'c', promptTokens: [1, 2], maxTokens: 150 }, (count) => {
      if (count === 3) engine.cancel(toRequestId('c'))
    })
    expect(cancelled.finish.reason).toBe('cancelled')
    expect(cancelled.tokens.length).toBeLessThan(20)
    await generate(engine, { id: 'after', promptTokens: [1], maxTokens: 1 })
    expect(engine.stats?.numRunning).toBe(0)
  })

  it('continues a request that brings its first tokens along', async () => {
    const engine = start({}, carrier)
    const whole = await generate(engine, {
      id: 'a',
      promptTokens: [3, 4],
      maxTokens: 20,
      sampling: { temperature: 1, seed: 5 },
    })
    const rest = await generate(engine, {
      id: 'b',
      promptTokens: [3, 4],
      outputTokens: whole.tokens.slice(0, 8),
      maxTokens: 20,
      sampling: { temperature: 1, seed: 5 },
    })
    expect([...whole.tokens.slice(0, 8), ...rest.tokens]).toEqual(whole.tokens)
  })

  it('ends what is unfinished when it is closed', async () => {
    const engine = start({ stepMicros: 5000 }, carrier)
    const unfinished = generate(engine, { id: 'u', promptTokens: [1], maxTokens: 190 })
    await engine.ready()
    await engine.close()
    expect((await unfinished).finish.reason).toBe('error')
  })
})

describe('an engine whose process dies', () => {
  it('goes on where it was: 8 streams killed in the middle end with identical answers', async () => {
    const undisturbed = await outputs(start())
    const engine = start({ stepMicros: 1000 })
    let kills = 0
    const { pid } = await engine.ready()
    const disturbed = await outputs(engine, (count) => {
      if (count === 10 && kills++ === 0) process.kill(pid, 'SIGKILL')
    })
    expect(kills).toBeGreaterThan(0)
    expect(disturbed).toEqual(undisturbed)
  })

  it('fails only the request that kills it twice', async () => {
    const engine = start({ lethalToken: 49, stepMicros: 500 })
    const guilty = generate(engine, { id: 'guilty', promptTokens: [49, 1] })
    const innocent = outputs(engine)
    expect((await guilty).finish.error?.code).toBe('ENGINE_FAILED')
    expect(await innocent).toEqual(await outputs(start()))
  })

  it('keeps nothing of finished requests', async () => {
    const engine = start({}, 'in-process')
    const requests = Array.from({ length: 2000 }, (_, index) =>
      generate(engine, { id: `n${index}`, promptTokens: [index % 40], maxTokens: 2 }),
    )
    expect((await Promise.all(requests)).every(({ tokens }) => tokens.length === 2)).toBe(true)
    expect(engine.stats).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeBlocks: 64 })
  })

  it('says why a model cannot be loaded', async () => {
    const executor = {
      kind: 'ggml',
      modelPath: '/nowhere/model.gguf',
      device: 'cpu',
      numThreads: 1,
      maxModelLen: undefined,
      kvCacheTokens: undefined,
      blockSize: 32,
      cacheTypeK: 'f16',
      cacheTypeV: 'f16',
      batchInvariant: false,
      maxNumSeqs: 1,
      maxNumBatchedTokens: 32,
    } as const
    const engine = createEngine({ executor, scheduler })
    open.push(engine)
    await expect(engine.ready()).rejects.toThrow('/nowhere/model.gguf')
    engine.submit(createRequest({ id: 'x', promptTokens: [1] }), () => undefined)
  })
})
