import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generate } from '../../test/support/generate.ts'
import { createEngine } from '../engine/create-engine.ts'
import { hostParts, readTrace, type Trace } from './read-trace.ts'
import { summarise } from './summary.ts'

const folder = mkdtempSync(join(tmpdir(), 'switchyard-profile-'))
const path = join(folder, 'profile.json')
const numRequests = 6
const maxTokens = 24
const promptLength = 300

/** Profiles an engine that serves a few requests at once. */
async function profileRun(): Promise<number[][]> {
  const engine = createEngine(
    {
      executor: {
        kind: 'ggml',
        modelPath: 'models/yardling/yardling-q8_0.gguf',
        device: 'cpu',
        numThreads: 1,
        maxModelLen: undefined,
        kvCacheTokens: 4096,
        blockSize: 32,
        cacheTypeK: 'f16',
        cacheTypeV: 'f16',
        batchInvariant: false,
        maxNumSeqs: 8,
        maxNumBatchedTokens: 256,
      },
      scheduler: { maxNumSeqs: 8, maxNumBatchedTokens: 256, maxTbtMs: undefined, policy: 'fcfs' },
      profile: path,
    },
    'in-process',
  )
  const answers = await Promise.all(
    Array.from({ length: numRequests }, (_, index) => {
      const promptTokens = Array.from({ length: promptLength }, (_, at) => 10 + ((at * 7 + index) % 300))
      return generate(engine, { id: `${index}`, promptTokens, maxTokens, ignoreEos: true })
    }),
  )
  await engine.close()
  return answers.map(({ tokens }) => tokens)
}

let text: string
let trace: Trace
beforeAll(async () => {
  const answers = await profileRun()
  expect(answers.every((tokens) => tokens.length === maxTokens)).toBe(true)
  text = readFileSync(path, 'utf8')
  trace = readTrace(text, path)
})
afterAll(() => rmSync(folder, { recursive: true }))

const costs = {
  name: 'model',
  layerParameters: 1e6,
  layerBytes: 1e6,
  headParameters: 1e5,
  headBytes: 1e5,
  attentionWidth: 1000,
  kvBytesPerToken: 2048,
  contextLength: 4096,
}
const limits = { flopsPerSecond: 1e11, bytesPerSecond: 1e10 }

describe('a profile of an engine', () => {
  it('is JSON of events that have what a timeline needs', () => {
    const events = JSON.parse(text) as Record<string, unknown>[]
    for (const event of events) {
      expect(['X', 'M', 'C']).toContain(event['ph'])
      if (event['ph'] === 'X') {
        expect(event).toMatchObject({ ts: expect.any(Number), dur: expect.any(Number), pid: 1 })
        expect(event['dur']).toBeGreaterThanOrEqual(0)
      }
    }
  })

  it('has every step, and all tokens', () => {
    const { numSteps, numTokens } = summarise(trace, costs, limits)
    // The last token of each answer is not computed.
    expect(numTokens).toBe(numRequests * (promptLength + maxTokens - 1))
    expect(numSteps).toBe(trace.steps.length)
    expect(trace.steps.reduce((sum, { work }) => sum + work.numSamples, 0)).toBe(numRequests * maxTokens)
  })

  it('has parts that add up to each step, and steps that add up to the run, within 2 %', () => {
    for (const step of trace.steps) {
      const host = hostParts.reduce((sum, part) => sum + step.host[part]!.to - step.host[part]!.from, 0)
      const kernels = step.kernels.reduce((sum, { micros }) => sum + micros, 0)
      const length = step.to - step.from
      expect(Math.abs(host + kernels - length), `of ${length} us`).toBeLessThan(0.02 * length)
    }
    const { total, parts } = summarise(trace, costs, limits)
    const sum = Object.values(parts).reduce((micros, part) => micros + part, 0)
    // From the first step on there was always something to do.
    expect(Math.abs(sum - total), `of ${total} us`).toBeLessThan(0.02 * total)
  })

  it('times the layers in groups, and the output head', () => {
    const names = trace.steps[0]!.kernels.map(({ name }) => name)
    expect(names).toEqual(['layer 0', 'layer 1', 'layer 2', 'layer 3', 'output head'])
    const groups = summarise(trace, costs, limits).kernelGroups
    expect(groups.map(({ name }) => name)).toEqual(names)
    for (const { micros } of groups) expect(micros).toBeGreaterThan(0)
  })

  it('of an engine that was killed is read up to there', () => {
    const cut = readTrace(text.slice(0, text.length * 0.6), path)
    expect(cut.steps.length).toBeGreaterThan(0)
    expect(cut.steps.length).toBeLessThan(trace.steps.length)
    expect(cut.steps.slice(0, -1)).toEqual(trace.steps.slice(0, cut.steps.length - 1))
  })

  it('is told from other files', () => {
    expect(() => readTrace('[]', 'a.json')).toThrow('a.json is no profile')
    expect(() => readTrace('{"steps": 1}', 'a.json')).toThrow('a.json is no profile')
    expect(() => readTrace('nonsense', 'a.json')).toThrow('a.json is no profile')
  })
})
