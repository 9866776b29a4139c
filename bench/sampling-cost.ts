/** Prints what one `sample()` costs by kind of request, on a row of 151,936 logits that shows its best 64. */
import { RandomStream } from '../src/core/random.ts'
import { greedySampling, type SamplingParams } from '../src/core/sampling-params.ts'
import type { LogitsRow } from '../src/executor/executor.ts'
import { createSampler } from '../src/sampling/sampler.ts'

const vocabSize = 151_936
const numTop = 64
const numRows = 8
const callsPerSampler = 20

/** `spread` 2.5 puts most of the mass on a few tokens, as trained models do; 0.5 leaves it nearly flat. */
function makeRow(seed: number, spread: number): LogitsRow {
  const stream = new RandomStream(seed)
  const values = Float32Array.from({ length: vocabSize }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - stream.next())) * Math.cos(2 * Math.PI * stream.next())
    return normal * spread
  })
  const ids = Array.from(values, (_, id) => id).sort((a, b) => values[b]! - values[a]! || a - b)
  const topIds = Int32Array.from(ids.slice(0, numTop))
  const best = values[topIds[0]!]!
  const sums = new Map<number, number>()
  return {
    vocabSize,
    topIds,
    topLogits: Float32Array.from(topIds, (id) => values[id]!),
    logSumExp: (inverseTemperature) => {
      const known = sums.get(inverseTemperature)
      if (known !== undefined) return known
      const sum = values.reduce((total, value) => total + Math.exp((value - best) * inverseTemperature), 0)
      sums.set(inverseTemperature, best * inverseTemperature + Math.log(sum))
      return sums.get(inverseTemperature)!
    },
    logitOf: (tokenId) => values[tokenId]!,
    full: () => values,
  }
}

/** Samplers are made anew for each round: penalties change a sampler with every token it chooses. */
function nanosPerSample(params: SamplingParams, rows: readonly LogitsRow[], numCalls: number): number {
  const prompt = Array.from({ length: 500 }, (_, index) => (index * 7919) % vocabSize)
  const samplers = Array.from({ length: numCalls / callsPerSampler }, (_, seed) => ({ ...params, seed }))
  const rounds = Array.from({ length: 9 }, () => {
    const made = samplers.map((each) => createSampler(each, prompt, []))
    const startedAt = process.hrtime.bigint()
    for (const sampler of made) {
      for (let call = 0; call < callsPerSampler; call += 1) sampler.sample(rows[call % rows.length]!)
    }
    return Number(process.hrtime.bigint() - startedAt) / numCalls
  })
  return rounds.sort((a, b) => a - b)[4]!
}

const drawing: SamplingParams = { ...greedySampling, temperature: 0.8 }
const peaked = Array.from({ length: numRows }, (_, seed) => makeRow(seed, 4))
const flat = Array.from({ length: numRows }, (_, seed) => makeRow(seed, 0.5))

const cases: [string, SamplingParams, readonly LogitsRow[], number][] = [
  ['greedy', greedySampling, peaked, 20_000],
  ['greedy, 5 logprobs', { ...greedySampling, topLogprobs: 5 }, peaked, 20_000],
  ['greedy, repetition penalty', { ...greedySampling, repetitionPenalty: 1.1 }, peaked, 20_000],
  ['top-k 40', { ...drawing, topK: 40 }, peaked, 20_000],
  ['top-p 0.5', { ...drawing, topP: 0.5 }, peaked, 2_000],
  ['top-p 0.95 over top-k 64', { ...drawing, topP: 0.95, topK: 64 }, peaked, 20_000],
  ['min-p 0.05', { ...drawing, minP: 0.05 }, peaked, 20_000],
  ['top-k 40, penalties', { ...drawing, topK: 40, presencePenalty: 1, frequencyPenalty: 0.5 }, peaked, 2_000],
  ['flat row, draw over all of it', drawing, flat, 40],
]

process.stdout.write('| request | ns per sample |\n|---|---:|\n')
for (const [name, params, rows, numCalls] of cases) {
  process.stdout.write(`| ${name} | ${Math.round(nanosPerSample(params, rows, numCalls))} |\n`)
}
