/**
 * Sequences that share a prompt's beginning, decoded together with and without shared-prefix attention: greedy tokens
 * must agree wherever the model is decided. Teacher-forced with the tokens of those who attend alone.
 */
import { describe, expect, it } from 'vitest'
import { RandomStream } from '../../src/core/random.ts'
import type { SharedAttentionMode } from '../../src/executor/executor-options.ts'
import { openLlamaTokenizer } from '../../src/text/llama-tokenizer.ts'
import { bundledModel, extent, HandPlanned } from '../support/shared-sequences.ts'

const blockSize = 32
const numSequences = 24
const numSteps = 24
const blocksEach = 3

const cities = [
  'Oslo',
  'Lima',
  'Cairo',
  'Quito',
  'Paris',
  'Rome',
  'Delhi',
  'Tokyo',
  'Bern',
  'Accra',
  'Dublin',
  'Vienna',
]

/** A table that all sequences begin with, and a question about it for each. */
function conversations(): { prefix: number[]; questions: number[][] } {
  const random = new RandomStream(12)
  const tokenizer = openLlamaTokenizer(bundledModel)
  const encode = (text: string) => tokenizer.encode(text, { addSpecial: true, parseSpecial: true })
  const lines = cities.map((city) => `The code for ${city} is ${1000 + random.below(9000)}.`)
  let prefix = encode(`<|im_start|>system\n${lines.join('\n')}<|im_end|>\n`)
  prefix = prefix.slice(0, Math.floor(prefix.length / blockSize) * blockSize)
  const questions = Array.from({ length: numSequences }, (_, index) =>
    encode(
      `<|im_start|>user\nWhat is the code for ${cities[index % cities.length]!}?<|im_end|>\n<|im_start|>assistant\n`,
    ),
  )
  tokenizer.close()
  return { prefix, questions }
}

/** Rows after the questions and after each of the `forced` tokens; what the best tokens were. */
async function decode(mode: SharedAttentionMode, forced: readonly (readonly number[])[] | undefined) {
  const { prefix, questions } = conversations()
  const numBlocks = prefix.length / blockSize
  const machine = await HandPlanned.open({
    sharedAttention: mode,
    kvCacheTokens: (numBlocks + numSequences * blocksEach) * blockSize,
    blockSize,
  })
  const shared = extent(0, numBlocks)
  const extentsOf = (index: number) => [shared, extent(numBlocks + index * blocksEach, blocksEach)]
  await machine.run([{ tokens: prefix, position: 0, extents: [shared] }])
  let rows: Float32Array[] = []
  for (const [index, tokens] of questions.entries())
    rows.push(...(await machine.run([{ tokens, position: prefix.length, extents: extentsOf(index) }])))
  const steps: { best: number[]; margins: number[] }[] = []
  for (let step = 0; ; step++) {
    const ranked = rows.map(bestTwo)
    steps.push({ best: ranked.map(({ best }) => best), margins: ranked.map(({ margin }) => margin) })
    if (step === numSteps) break
    const next = forced?.[step] ?? steps[step]!.best
    rows = await machine.run(
      questions.map((tokens, index) => ({
        tokens: [next[index]!],
        position: prefix.length + tokens.length + step,
        extents: extentsOf(index),
      })),
    )
  }
  await machine.close()
  return steps
}

function bestTwo(row: Float32Array): { best: number; margin: number } {
  const best = row.indexOf(Math.max(...row))
  const others = Math.max(...row.filter((_, id) => id !== best))
  return { best, margin: row[best]! - others }
}

describe('shared-prefix attention', () => {
  it('chooses the tokens that attending alone chooses, wherever those are decided', async () => {
    const alone = await decode('never', undefined)
    const together = await decode(
      'always',
      alone.map(({ best }) => best),
    )
    let decided = 0
    let ties = 0
    alone.forEach(({ best, margins }, step) => {
      best.forEach((token, index) => {
        if (margins[index]! > 0.5) {
          decided++
          expect(together[step]!.best[index], `step ${step}, sequence ${index}`).toBe(token)
        } else if (together[step]!.best[index] !== token) ties++
      })
    })
    console.log(`${decided} decided tokens agree, ${ties} near-ties differ`)
    expect(decided).toBeGreaterThan(numSequences * numSteps * 0.5)
  })
})
