/** Structured output with a real model, sampled hot, and through crashes of the engine. */
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEngine } from '../../src/engine/create-engine.ts'
import type { EngineClient } from '../../src/engine/engine-client.ts'
import { openLlamaTokenizer } from '../../src/text/llama-tokenizer.ts'
import { schemas } from '../../bench/structured-schemas.ts'
import { generate } from '../support/generate.ts'
import { bundledModel } from '../support/shared-sequences.ts'

const ajv = new Ajv2020({ strict: false })
addFormats.default(ajv)
const tokenizer = openLlamaTokenizer(bundledModel)
let engine: EngineClient

beforeAll(async () => {
  engine = createEngine({
    executor: {
      kind: 'ggml',
      modelPath: bundledModel,
      device: 'cpu',
      numThreads: 1,
      maxModelLen: undefined,
      kvCacheTokens: 8192,
      blockSize: 32,
      cacheTypeK: 'f16',
      cacheTypeV: 'f16',
      batchInvariant: false,
      maxNumSeqs: 8,
      maxNumBatchedTokens: 256,
    },
    scheduler: { maxNumSeqs: 8, maxNumBatchedTokens: 256, maxTbtMs: undefined, policy: 'fcfs' },
  })
  await engine.ready()
})

afterAll(async () => {
  await engine.close()
  tokenizer.close()
})

async function textOf(id: string, schema: object, temperature: number, seed: number) {
  const promptTokens = tokenizer.encode('Answer in JSON: ', { addSpecial: true, parseSpecial: false })
  const grammar = { kind: 'jsonSchema', schema } as const
  const fields = { id, promptTokens, grammar, maxTokens: 700, sampling: { temperature, seed } }
  const { tokens, finish } = await generate(engine, fields)
  return { text: tokenizer.decode(tokens), reason: finish.reason }
}

describe('the bundled model under schemas of growing difficulty', () => {
  it.each(Object.entries(schemas))(
    '%s',
    async (name, schema) => {
      const validates = ajv.compile(schema)
      const answers = await Promise.all(
        [0, 0.7, 1.5, 1.5, 3, 3].map((temperature, seed) =>
          textOf(`${name}-${temperature}-${seed}`, schema, temperature, seed),
        ),
      )
      const complete = answers.filter(({ reason }) => reason === 'stop')
      for (const { text } of complete) expect(validates(JSON.parse(text)), text).toBe(true)
      for (const { reason } of answers) expect(['stop', 'length']).toContain(reason)
      // A text that may say anything before what it must say need not come to that.
      if (name !== 'a pattern anywhere') expect(complete.length).toBeGreaterThan(0)
    },
    120_000,
  )
})

it('goes on in the same text when the engine is killed', async () => {
  // Without kernels, whose rounding depends on how many tokens are computed at once.
  const fake = createEngine({
    executor: {
      kind: 'fake',
      vocabSize: 258,
      maxModelLen: 2000,
      blockSize: 16,
      numBlocks: 200,
      stepMicros: 500,
    },
    scheduler: { maxNumSeqs: 4, maxNumBatchedTokens: 64, maxTbtMs: undefined, policy: 'fcfs' },
  })
  const grammar = { kind: 'jsonSchema', schema: schemas['thirty fields']! } as const
  const fields = { promptTokens: [1, 2, 3], grammar, maxTokens: 1500, sampling: { temperature: 1, seed: 7 } }
  const undisturbed = await generate(fake, { ...fields, id: 'undisturbed' })
  const { pid } = await fake.ready()
  const killed = await generate(fake, { ...fields, id: 'killed' }, (count) => {
    if (count === 60) process.kill(pid, 'SIGKILL')
  })
  const { pid: next } = await fake.ready()
  await fake.close()
  expect(next).not.toBe(pid)
  expect(killed.finish.reason).toBe('stop')
  expect(killed.tokens).toEqual(undisturbed.tokens)
}, 60_000)
