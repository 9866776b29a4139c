import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { createRequest, generate } from '../../test/support/generate.ts'
import { bundledModel } from '../config/schema.ts'
import type { Pooling } from '../core/request.ts'
import { openLlamaTokenizer } from '../text/llama-tokenizer.ts'
import { createEngine, type Carrier, type EngineOptions } from './create-engine.ts'
import type { EngineClient } from './engine-client.ts'

const poolings = ['mean', 'last', 'cls'] as const

/** Blocks for two of the eight texts, and steps that cut them. */
const scarce = (numBlocks: number, maxNumBatchedTokens: number): EngineOptions => ({
  executor: { kind: 'fake', vocabSize: 50, maxModelLen: 64, blockSize: 4, numBlocks },
  eviction: 'lru',
  scheduler: { maxNumSeqs: 8, maxNumBatchedTokens, maxTbtMs: undefined, policy: 'fcfs' },
})

const texts = Array.from({ length: 8 }, (_, text) =>
  Array.from({ length: 11 + text }, (__, index) => (text * 7 + index * 3) % 49),
)

let run = 0
async function embed(
  engine: EngineClient,
  pooling: Pooling,
  prompts: readonly number[][],
): Promise<Float32Array[]> {
  run += 1
  const ended = await Promise.all(
    prompts.map((promptTokens, index) =>
      generate(engine, { id: `${pooling}${run}-${index}`, promptTokens, maxTokens: 1, pooling }),
    ),
  )
  return ended.map(({ tokens, finish }) => {
    expect(tokens).toStrictEqual([])
    expect(finish.reason).toBe('stop')
    return finish.vector!
  })
}

const carried: readonly (readonly [Carrier, Pooling])[] = [
  ...poolings.map((pooling) => ['in-process', pooling] as const),
  ['child', 'mean'],
]

describe('a text that is embedded', () => {
  it.each(carried)(
    'has the same vector in small chunks, among generations, and a second time (%s, %s)',
    async (carrier, pooling) => {
      const roomy = createEngine(scarce(64, 512), 'in-process')
      const expected = await embed(roomy, pooling, texts)
      await roomy.close()
      const engine = createEngine(scarce(12, 7), carrier)
      try {
        const others = texts.map((promptTokens, index) =>
          generate(engine, { id: `${pooling}-other-${index}`, promptTokens, maxTokens: 12 }),
        )
        expect(await embed(engine, pooling, texts)).toStrictEqual(expected)
        await Promise.all(others)
        expect(await embed(engine, pooling, texts)).toStrictEqual(expected)
      } finally {
        await engine.close()
      }
    },
  )
})

it('is the mean of the states, or one of them', async () => {
  const engine = createEngine(scarce(64, 512), 'in-process')
  const [text] = texts as [number[]]
  const prefixes = text.map((_, index) => text.slice(0, index + 1))
  const states = await embed(engine, 'last', prefixes)
  const [mean] = await embed(engine, 'mean', [text])
  const [first] = await embed(engine, 'cls', [text])
  expect(first).toStrictEqual(states[0])
  const sums = states.reduce((sum, state) => sum.map((value, at) => value + state[at]!), [0, 0, 0, 0])
  expect([...mean!]).toStrictEqual([...Float32Array.from(sums, (sum) => sum / text.length)])
  await engine.close()
})

it('fails alone when its states are not numbers', async () => {
  const options = scarce(64, 512)
  const engine = createEngine(
    { ...options, executor: { ...options.executor, nanToken: 49 } as EngineOptions['executor'] },
    'in-process',
  )
  const bad = generate(engine, { id: 'bad', promptTokens: [1, 49], maxTokens: 1, pooling: 'mean' })
  const good = generate(engine, { id: 'good', promptTokens: [1, 2], maxTokens: 1, pooling: 'mean' })
  expect((await bad).finish).toMatchObject({
    reason: 'error',
    error: { message: expect.stringContaining('not numbers') },
  })
  expect((await good).finish.reason).toBe('stop')
  await engine.close()
})

it('ends when it is cancelled', async () => {
  const engine = createEngine(scarce(64, 512), 'in-process')
  await engine.ready()
  const ended = new Promise((resolve) => {
    const request = createRequest({ id: 'gone', promptTokens: [1, 2, 3], maxTokens: 1, pooling: 'mean' })
    engine.submit(request, (event) => resolve(event))
    engine.cancel(request.id)
  })
  expect(await ended).toMatchObject({ kind: 'finished', reason: 'cancelled' })
  await engine.close()
})

/** llama-server of llama.cpp 0.5.0 on the F16 file: `--embedding --pooling ...`, POST /v1/embeddings. */
const reference = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../test/support/llama-embeddings.json', import.meta.url)), 'utf8'),
) as { readonly texts: string[]; readonly vectors: Record<Pooling, string[]> }

describe('the bundled model', () => {
  const modelPath = bundledModel.replace('q8_0', 'f16')
  const options: EngineOptions = {
    executor: {
      kind: 'ggml',
      modelPath,
      device: 'cpu',
      numThreads: 1,
      maxModelLen: undefined,
      kvCacheTokens: 2048,
      blockSize: 16,
      cacheTypeK: 'f16',
      cacheTypeV: 'f16',
      batchInvariant: false,
      maxNumSeqs: 4,
      maxNumBatchedTokens: 64,
    },
    eviction: 'value',
    scheduler: { maxNumSeqs: 4, maxNumBatchedTokens: 64, maxTbtMs: undefined, policy: 'fair+slo+program' },
  }

  it.each(poolings)('embeds as llama.cpp does, with answers in the same steps (%s)', async (pooling) => {
    const tokenizer = openLlamaTokenizer(modelPath)
    const engine = createEngine(options, 'in-process')
    const prompts = reference.texts.map((text) =>
      tokenizer.encode(text, { addSpecial: true, parseSpecial: true }),
    )
    const alone = await generate(engine, {
      id: 'alone',
      promptTokens: prompts[0]!,
      maxTokens: 30,
      ignoreEos: true,
    })
    const among = generate(engine, { id: 'among', promptTokens: prompts[0]!, maxTokens: 30, ignoreEos: true })
    const vectors = await embed(engine, pooling, prompts)
    expect((await among).tokens).toStrictEqual(alone.tokens)
    vectors.forEach((vector, index) => {
      const bytes = Buffer.from(reference.vectors[pooling][index]!, 'base64')
      const expected = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
      expect(cosine(vector, expected)).toBeGreaterThan(0.999)
    })
    await engine.close()
    tokenizer.close()
  })
})

function cosine(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length)
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, at) => sum + value * y[at]!, 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}
