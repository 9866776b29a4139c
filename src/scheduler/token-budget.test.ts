import { describe, expect, it } from 'vitest'
import { RandomStream } from '../core/random.ts'
import type { StepWork } from './step-work.ts'
import { TokenBudget } from './token-budget.ts'

/** Milliseconds of a step by its rows, as measured on two cores with a model of 0.5B parameters in Q4_0. */
const measured: readonly (readonly [number, number])[] = [
  [0, 0],
  [1, 9.8],
  [2, 20.6],
  [4, 26],
  [8, 36],
  [16, 48],
  [32, 94],
  [512, 730],
]

function stepMicros({ numDecodes, numPrefillTokens, attendedKeys }: StepWork): number {
  const numRows = numDecodes + numPrefillTokens
  const upper = measured.findIndex(([rows]) => rows >= numRows)
  const [rowsBelow, timeBelow] = measured[upper - 1]!
  const [rowsAbove, timeAbove] = measured[upper]!
  const share = (numRows - rowsBelow) / (rowsAbove - rowsBelow)
  return 1000 * (timeBelow + share * (timeAbove - timeBelow)) + 0.2 * attendedKeys
}

/** Plans a step of decodes and one chunk of a prompt, runs it on the machine, and returns its work. */
function runStep(
  budget: TokenBudget,
  numDecodes: number,
  prompt: { position: number; wanted: number },
  noise = 1,
) {
  budget.begin()
  for (let decode = 0; decode < numDecodes; decode += 1) budget.take(300, 1, true)
  const length = budget.limit(prompt.position, prompt.wanted)
  if (length > 0) budget.take(prompt.position, length, false)
  const { work } = budget
  budget.observe(work, stepMicros(work) * noise)
  return work
}

/** Times of the steps that carry a prompt of 2000 tokens beside 7 decodes. */
function timesWithPrompt(budget: TokenBudget, random: RandomStream): number[] {
  const times: number[] = []
  for (let position = 0; position < 2000;) {
    const noise = (0.95 + 0.1 * random.next()) * (random.next() < 0.01 ? 5 : 1)
    const work = runStep(budget, 7, { position, wanted: 2000 - position }, noise)
    expect(work.numPrefillTokens, 'prefill progresses').toBeGreaterThan(0)
    position += work.numPrefillTokens
    times.push(stepMicros(work))
  }
  return times.sort((a, b) => a - b)
}

describe('the token budget', () => {
  it('is all that is left of the batch without a target', () => {
    const budget = new TokenBudget({ maxNumBatchedTokens: 512, maxTbtMicros: undefined })
    expect(runStep(budget, 12, { position: 0, wanted: 2000 }).numPrefillTokens).toBe(500)
  })

  it('is the whole batch while nobody decodes, whatever the target', () => {
    const budget = new TokenBudget({ maxNumBatchedTokens: 512, maxTbtMicros: 1000 })
    expect(runStep(budget, 0, { position: 0, wanted: 2000 }).numPrefillTokens).toBe(512)
  })

  it('holds steps with a prompt near the target, and below it, on a machine that is not linear', () => {
    const target = 72_000
    const budget = new TokenBudget({ maxNumBatchedTokens: 512, maxTbtMicros: target })
    const random = new RandomStream(1)
    for (let step = 0; step < 100; step += 1) runStep(budget, 7, { position: 0, wanted: 0 })
    timesWithPrompt(budget, random)
    for (let step = 0; step < 2000; step += 1) runStep(budget, 7, { position: 0, wanted: 0 })

    const times = timesWithPrompt(budget, random)

    expect(times[times.length >> 1]!).toBeGreaterThan(0.75 * target)
    expect(times[Math.floor(times.length * 0.98)]!).toBeLessThan(target)
    expect(times.at(-1)!).toBeLessThan(1.2 * target)
  })

  it('begins with small chunks and at most doubles them, so that the first guess stalls nobody', () => {
    const budget = new TokenBudget({ maxNumBatchedTokens: 512, maxTbtMicros: 1_000_000 })
    const lengths = Array.from(
      { length: 5 },
      () => runStep(budget, 1, { position: 0, wanted: 2000 }).numPrefillTokens,
    )
    expect(lengths).toEqual([16, 32, 64, 128, 256])
  })

  it('lets prompts progress when the decodes alone break the target', () => {
    const budget = new TokenBudget({ maxNumBatchedTokens: 512, maxTbtMicros: 5000 })
    for (let step = 0; step < 50; step += 1) runStep(budget, 7, { position: 0, wanted: 0 })
    expect(runStep(budget, 7, { position: 0, wanted: 2000 }).numPrefillTokens).toBe(8)
  })

  it('shares one step among several prompts', () => {
    const budget = new TokenBudget({ maxNumBatchedTokens: 64, maxTbtMicros: undefined })
    budget.begin()
    budget.take(0, budget.limit(0, 40), false)
    expect(budget.limit(0, 40)).toBe(24)
    budget.take(0, 24, false)
    expect(budget.limit(0, 40)).toBe(0)
  })

  it('refuses a batch or a target below one', () => {
    const invalid = expect.objectContaining({ code: 'INVALID_CONFIG' })
    expect(() => new TokenBudget({ maxNumBatchedTokens: 0, maxTbtMicros: undefined })).toThrow(invalid)
    expect(() => new TokenBudget({ maxNumBatchedTokens: 512, maxTbtMicros: Number.NaN })).toThrow(invalid)
  })
})
