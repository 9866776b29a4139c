import { describe, expect, it } from 'vitest'
import { RandomStream } from '../core/random.ts'
import { CostModel, type StepWork } from './cost-model.ts'
import { TokenBudget } from './token-budget.ts'

/** A machine with known costs, in microseconds. */
const machine = (work: StepWork) =>
  2000 + 900 * work.numDecodes + 700 * work.numPrefillTokens + 0.05 * work.attendedKeys

function randomWork(random: RandomStream): StepWork {
  const numDecodes = random.below(16)
  const numPrefillTokens = random.next() < 0.5 ? 0 : random.below(200)
  return { numDecodes, numPrefillTokens, attendedKeys: (numDecodes + numPrefillTokens) * random.below(1000) }
}

describe('the cost model', () => {
  it('predicts a noisy machine within a tenth after a few dozen steps', () => {
    const random = new RandomStream(4)
    const model = new CostModel()
    for (let step = 0; step < 80; step++) {
      const work = randomWork(random)
      model.observe(work, machine(work) * (0.97 + 0.06 * random.next()))
    }
    for (let step = 0; step < 50; step++) {
      const work = randomWork(random)
      expect(Math.abs(model.predict(work) / machine(work) - 1)).toBeLessThan(0.1)
    }
  })

  it('is not misled by a pause of the process', () => {
    const random = new RandomStream(5)
    const model = new CostModel()
    for (let step = 0; step < 60; step++) {
      const work = randomWork(random)
      model.observe(work, step % 20 === 19 ? 900_000 : machine(work))
    }
    const work = { numDecodes: 8, numPrefillTokens: 40, attendedKeys: 8000 }
    expect(Math.abs(model.predict(work) / machine(work) - 1)).toBeLessThan(0.1)
  })
})

describe('the token budget', () => {
  it('is all that is left of the batch without a target', () => {
    const budget = new TokenBudget({ maxNumBatchedTokens: 512, maxTbtMicros: undefined })
    expect(budget.prefillTokens(12, 0, 0)).toBe(500)
  })

  it('keeps the predicted step below the target, and uses most of it', () => {
    const budget = new TokenBudget({ maxNumBatchedTokens: 512, maxTbtMicros: 60_000 })
    const random = new RandomStream(6)
    for (let step = 0; step < 80; step++) {
      const work = randomWork(random)
      budget.observe(work, machine(work))
    }
    const chunk = budget.prefillTokens(7, 7 * 200, 300)
    const work = { numDecodes: 7, numPrefillTokens: chunk, attendedKeys: 7 * 200 + chunk * (300 + chunk / 2) }
    expect(machine(work)).toBeLessThan(60_000)
    expect(machine(work)).toBeGreaterThan(40_000)
  })
})
