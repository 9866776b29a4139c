/**
 * Error of logits against bytes per token for the types of the KV cache, with and without rotation:
 *
 *   node models/yardling/corpus.mjs --seed 9 --count 60 --split eval > texts.jsonl
 *   npx tsx bench/kv-types.ts --model FILE [--texts texts.jsonl] [--sequences 8] [--tokens 600]
 *
 * Every text is read token by token, and each position's logits are compared with those over an f16 cache: largest and
 * mean difference, mean Kullback-Leibler divergence in nats, share of other best tokens, and the perplexity of the text.
 * `--texts` holds one JSON object a line with a field `text`; without it, random tokens are read.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { RandomStream } from '../src/core/random.ts'
import { toRequestId, toSequenceId } from '../src/core/units.ts'
import type { Executor } from '../src/executor/executor.ts'
import type { CacheType } from '../src/executor/executor-options.ts'
import type { StepPlan } from '../src/scheduler/step-plan.ts'
import { openLlamaTokenizer } from '../src/text/llama-tokenizer.ts'
import { blocksOf, blockSize, extent, openExecutor } from './kv-load.ts'
import { table } from './report.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    texts: { type: 'string' },
    sequences: { type: 'string', default: '8' },
    tokens: { type: 'string', default: '600' },
  },
})
if (values.model === undefined) throw new Error('usage: kv-types.ts --model FILE [--texts FILE]')
const modelPath = values.model
const numSequences = Number(values.sequences)
const longest = Number(values.tokens)
const blocksEach = blocksOf(longest)

interface Cache {
  readonly k: CacheType
  readonly v: CacheType
  readonly rotates: boolean
}

const caches: readonly Cache[] = [
  { k: 'f16', v: 'f16', rotates: false },
  { k: 'q8_0', v: 'q8_0', rotates: false },
  { k: 'q8_0', v: 'q8_0', rotates: true },
  { k: 'q8_0', v: 'q4_0', rotates: false },
  { k: 'q8_0', v: 'q4_0', rotates: true },
  { k: 'q4_0', v: 'q4_0', rotates: false },
  { k: 'q4_0', v: 'q4_0', rotates: true },
]

/** What one cache has cost so far, over all positions. */
interface Errors {
  largest: number
  sum: number
  divergence: number
  otherBest: number
  surprise: number
}

function readSequences(vocabSize: number): number[][] {
  const random = new RandomStream(2)
  if (values.texts === undefined) {
    const one = () => Array.from({ length: longest }, () => random.below(vocabSize - 8))
    return Array.from({ length: numSequences }, one)
  }
  const tokenizer = openLlamaTokenizer(modelPath)
  const texts = readFileSync(values.texts, 'utf8').trim().split('\n')
  const all = texts.map((line) => tokenizer.encode((JSON.parse(line) as { text: string }).text, textOptions))
  tokenizer.close()
  return all
    .toSorted((a, b) => b.length - a.length)
    .slice(0, numSequences)
    .map((tokens) => [...tokens].slice(0, longest))
}

const textOptions = { addSpecial: true, parseSpecial: true }

/** The logits after each sequence's token at `position`. */
async function rowsAt(
  executor: Executor,
  sequences: readonly number[][],
  position: number,
): Promise<Float32Array[]> {
  const alive = sequences
    .map((tokens, index) => ({ tokens, index }))
    .filter(({ tokens }) => position < tokens.length)
  const plan: StepPlan = {
    step: position,
    numTokens: alive.length,
    preempted: [],
    copies: [],
    entries: alive.map(({ tokens, index }) => ({
      sequenceId: toSequenceId(index),
      requestId: toRequestId(`${index}`),
      tokens: [tokens[position]!],
      position,
      extents: [extent(index * blocksEach, blocksEach)],
      samples: true,
    })),
  }
  const { rows } = await executor.execute(
    plan,
    alive.map(() => ({ kind: 'full' })),
  )
  return rows.map((row) => row!.full())
}

function logSumExp(row: Float32Array): number {
  const best = row.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY)
  return best + Math.log(row.reduce((sum, value) => sum + Math.exp(value - best), 0))
}

const indexOfBest = (row: Float32Array) =>
  row.reduce((best, value, id) => (value > row[best]! ? id : best), 0)

function compare(errors: Errors, row: Float32Array, exact: Float32Array, next: number | undefined): void {
  const mass = logSumExp(row)
  const exactMass = logSumExp(exact)
  let sum = 0
  for (let id = 0; id < row.length; id++) {
    const difference = Math.abs(row[id]! - exact[id]!)
    sum += difference
    errors.largest = Math.max(errors.largest, difference)
    const logP = exact[id]! - exactMass
    errors.divergence += Math.exp(logP) * (logP - (row[id]! - mass))
  }
  errors.sum += sum / row.length
  if (indexOfBest(row) !== indexOfBest(exact)) errors.otherBest++
  if (next !== undefined) errors.surprise += mass - row[next]!
}

const executors: Executor[] = []
for (const { k, v, rotates } of caches) {
  executors.push(
    await openExecutor({
      modelPath,
      cacheTypeK: k,
      cacheTypeV: v,
      cacheRotate: rotates,
      maxModelLen: blocksEach * blockSize,
      kvCacheTokens: numSequences * blocksEach * blockSize,
      sharedAttention: 'never',
    }),
  )
}
const sequences = readSequences(executors[0]!.model.vocabSize)
const errors = caches.map((): Errors => ({ largest: 0, sum: 0, divergence: 0, otherBest: 0, surprise: 0 }))
let numPositions = 0
let numPredicted = 0
const numSteps = Math.max(...sequences.map(({ length }) => length))
for (let position = 0; position < numSteps; position++) {
  const alive = sequences.filter(({ length }) => position < length)
  const exact = (await rowsAt(executors[0]!, sequences, position)).map((row) => Float32Array.from(row))
  numPositions += alive.length
  numPredicted += alive.filter(({ length }) => position + 1 < length).length
  for (const [index, executor] of executors.entries()) {
    const rows = index === 0 ? exact : await rowsAt(executor, sequences, position)
    rows.forEach((row, at) => compare(errors[index]!, row, exact[at]!, alive[at]![position + 1]))
  }
}

const rows = caches.map(({ k, v, rotates }, index) => {
  const { largest, sum, divergence, otherBest, surprise } = errors[index]!
  return [
    `K ${k}, V ${v}${rotates ? ', rotated' : ''}`,
    `${executors[index]!.model.kvBytesPerToken}`,
    largest.toFixed(3),
    (sum / numPositions).toExponential(2),
    (divergence / numPositions).toExponential(2),
    `${((100 * otherBest) / numPositions).toFixed(2)} %`,
    Math.exp(surprise / numPredicted).toFixed(4),
  ]
})
for (const executor of executors) await executor.close()
process.stdout.write(
  `${sequences.length} sequences, ${numPositions} positions\n\n` +
    table(
      ['cache', 'bytes/token', 'largest error', 'mean error', 'KL, nats', 'other best token', 'perplexity'],
      rows,
    ),
)
