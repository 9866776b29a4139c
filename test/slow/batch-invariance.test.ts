/**
 * The same requests alone, and together in random order, with random chunk sizes, random cancellations and a pool so
 * small that sequences are preempted all the time; with and without a prefix cache that they share. With `batchInvariant` the answers must be the same tokens, exactly.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { RandomStream } from '../../src/core/random.ts'
import { toRequestId } from '../../src/core/units.ts'
import { InProcessClient } from '../../src/engine/in-process-client.ts'
import type { GgmlExecutorOptions } from '../../src/executor/executor-options.ts'
import { evictionNames, type EvictionName } from '../../src/kvcache/eviction/index.ts'
import { makeModel } from '../../tools/make-model.ts'
import { generate } from '../support/generate.ts'
import { testExecutorOptions } from '../support/single-sequence.ts'

const folder = mkdtempSync(join(tmpdir(), 'switchyard-invariance-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const numPrompts = 20
const numOutputTokens = 40
const longest = 100
const vocabSize = 2000

function promptsOf(seed: number): number[][] {
  const random = new RandomStream(seed)
  const tokens = (length: number) => Array.from({ length }, () => random.below(vocabSize))
  const trunk = tokens(longest)
  return Array.from({ length: numPrompts }, (_, index) => {
    const length = 1 + random.below(longest - numOutputTokens)
    // Every other prompt begins as the trunk does, for a part of its length.
    const own = index % 2 === 0 ? length : 1 + random.below(length)
    return [...trunk.slice(0, length - own), ...tokens(own)]
  })
}

const evictions = [undefined, ...evictionNames]

type KvTypes = Pick<Partial<GgmlExecutorOptions>, 'cacheTypeK' | 'cacheTypeV'>

interface RunOptions {
  readonly executor: Partial<GgmlExecutorOptions>
  readonly maxNumBatchedTokens: number
  readonly maxNumSeqs: number
  readonly eviction?: EvictionName | undefined
}

function open(modelPath: string, options: RunOptions): InProcessClient {
  const { executor, maxNumBatchedTokens, maxNumSeqs, eviction } = options
  return new InProcessClient({
    executor: {
      ...testExecutorOptions,
      batchInvariant: true,
      blockSize: 8,
      maxNumSeqs,
      maxNumBatchedTokens,
      ...executor,
      modelPath,
    },
    scheduler: { maxNumSeqs, maxNumBatchedTokens, maxTbtMs: undefined, policy: 'fcfs' },
    eviction,
  })
}

async function alone(modelPath: string, prompts: readonly number[][], kv: KvTypes): Promise<number[][]> {
  const engine = open(modelPath, { executor: kv, maxNumBatchedTokens: 512, maxNumSeqs: 1 })
  const answers: number[][] = []
  for (const [index, promptTokens] of prompts.entries()) {
    const request = { id: `alone-${index}`, promptTokens, maxTokens: numOutputTokens, ignoreEos: true }
    answers.push((await generate(engine, request)).tokens)
  }
  await engine.close()
  return answers
}

async function together(modelPath: string, prompts: readonly number[][], seed: number, kv: KvTypes) {
  const random = new RandomStream(seed)
  const engine = open(modelPath, {
    executor: { ...kv, kvCacheTokens: longest + 8 + random.below(150) },
    maxNumBatchedTokens: 9 + random.below(100),
    maxNumSeqs: 2 + random.below(7),
    eviction: evictions[seed % evictions.length],
  })
  const order = prompts.map((_, index) => ({ index, key: random.next() })).toSorted((a, b) => a.key - b.key)
  const doomed = order.map(({ index }) => {
    const id = `doomed-${index}`
    const at = 1 + random.below(12)
    const request = { id, promptTokens: prompts[index] ?? [], maxTokens: numOutputTokens, ignoreEos: true }
    return random.next() < 0.4
      ? generate(engine, request, (count) => count >= at && engine.cancel(toRequestId(id)))
      : undefined
  })
  const answers = await Promise.all(
    order.map(async ({ index }) => {
      const request = {
        id: `${index}`,
        promptTokens: prompts[index] ?? [],
        maxTokens: numOutputTokens,
        ignoreEos: true,
      }
      return { index, tokens: (await generate(engine, request)).tokens }
    }),
  )
  await Promise.all(doomed)
  await engine.checkInvariants()
  const { stats } = engine
  await engine.close()
  return { answers, stats }
}

async function check(modelPath: string, seeds: readonly number[], kv: KvTypes = {}): Promise<void> {
  const prompts = promptsOf(77)
  const expected = await alone(modelPath, prompts, kv)
  let preemptions = 0
  let hits = 0
  for (const seed of seeds) {
    const { answers, stats } = await together(modelPath, prompts, seed, kv)
    preemptions += stats?.numPreemptionsTotal ?? 0
    hits += stats?.kv.numHitTokens ?? 0
    expect(stats, `seed ${seed}`).toMatchObject({
      numRunning: 0,
      numWaiting: 0,
      numFreeBlocks: stats?.numBlocks,
    })
    for (const { index, tokens } of answers)
      expect(tokens, `seed ${seed}, prompt ${index}`).toEqual(expected[index])
  }
  console.log(`${seeds.length} seeds, ${preemptions} preemptions, ${hits} cached tokens`)
  expect(hits).toBeGreaterThan(100 * seeds.length)
  expect(preemptions).toBeGreaterThan(seeds.length)
}

describe('answers do not depend on who else is in the step', () => {
  it('for the bundled model, over many seeds', async () => {
    await check(
      'models/yardling/yardling-q8_0.gguf',
      Array.from({ length: 25 }, (_, index) => index + 1),
    )
  })

  it.each(['F32', 'F16', 'BF16', 'Q8_0', 'Q4_0', 'Q4_K', 'Q6_K'])(
    'for random weights in %s',
    async (type) => {
      const out = join(folder, `${type}.gguf`)
      makeModel({ out, arch: 'qwen3', layers: 2, width: 256, heads: 4, kvHeads: 2, ffn: 512, type, seed: 5 })
      await check(out, [1, 2, 3])
    },
  )

  it('with a quantised KV cache', async () => {
    const out = join(folder, 'kv.gguf')
    makeModel({
      out,
      arch: 'llama',
      layers: 2,
      width: 256,
      heads: 4,
      kvHeads: 2,
      ffn: 512,
      type: 'Q8_0',
      seed: 6,
    })
    await check(out, [1, 2, 3], { cacheTypeK: 'q8_0', cacheTypeV: 'q8_0' })
  })
})
