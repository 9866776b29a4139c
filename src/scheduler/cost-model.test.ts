import { describe, expect, it } from 'vitest'
import { RandomStream } from '../core/random.ts'
import { CostModel } from './cost-model.ts'
import type { StepWork } from './step-work.ts'

/** A machine with known costs, in microseconds. */
const machine = (work: StepWork) =>
  2000 + 900 * work.numDecodes + 700 * work.numPrefillTokens + 0.05 * work.attendedKeys

function randomWork(random: RandomStream): StepWork {
  const numDecodes = 1 + random.below(15)
  const numPrefillTokens = random.next() < 0.5 ? 0 : random.below(200)
  return { numDecodes, numPrefillTokens, attendedKeys: (numDecodes + numPrefillTokens) * random.below(1000) }
}

function worstError(model: CostModel, random: RandomStream, scale = 1): number {
  const errors = Array.from({ length: 100 }, () => {
    const work = randomWork(random)
    return Math.abs(model.predict(work) / (scale * machine(work)) - 1)
  })
  return Math.max(...errors)
}

function trained(random: RandomStream, disturb: (step: number) => number): CostModel {
  const model = new CostModel()
  for (let step = 0; step < 80; step += 1) {
    const work = randomWork(random)
    model.observe(work, machine(work) * disturb(step))
  }
  return model
}

const decodeStep = { numDecodes: 8, numPrefillTokens: 0, attendedKeys: 8 * 400 }

describe('the cost model', () => {
  it('predicts a noisy machine within a tenth after a few dozen steps', () => {
    const random = new RandomStream(4)
    const model = trained(random, () => 0.95 + 0.1 * random.next())
    expect(worstError(model, random)).toBeLessThan(0.1)
  })

  it('is not misled by a cold start and by pauses of the process', () => {
    const random = new RandomStream(5)
    const model = trained(random, (step) => (step === 0 || step % 20 === 19 ? 12 : 1))
    expect(worstError(model, random)).toBeLessThan(0.1)
  })

  it('remembers what prompts cost through thousands of steps without one', () => {
    const random = new RandomStream(6)
    const model = trained(random, () => 1)
    for (let step = 0; step < 5000; step += 1) {
      const work = { ...decodeStep, attendedKeys: 8 * (100 + step) }
      model.observe(work, machine(work) * (0.95 + 0.1 * random.next()))
    }
    expect(worstError(model, random)).toBeLessThan(0.1)
  })

  it('follows a machine that becomes twice as slow', () => {
    const random = new RandomStream(7)
    const model = trained(random, () => 1)
    for (let step = 0; step < 80; step += 1) {
      const work = randomWork(random)
      model.observe(work, 2 * machine(work))
    }
    expect(worstError(model, random, 2)).toBeLessThan(0.15)
  })

  it('never predicts less time for more work, whatever it has seen', () => {
    const random = new RandomStream(8)
    for (let round = 0; round < 50; round += 1) {
      const model = new CostModel()
      const numSteps = random.below(12)
      for (let step = 0; step < numSteps; step += 1)
        model.observe(randomWork(random), 1 + 50_000 * random.next())
      const work = randomWork(random)
      const predicted = model.predict(work)
      expect(predicted).toBeGreaterThanOrEqual(0)
      expect(model.predict({ ...work, numDecodes: work.numDecodes + 1 })).toBeGreaterThanOrEqual(predicted)
      const longer = {
        ...work,
        numPrefillTokens: work.numPrefillTokens + 9,
        attendedKeys: work.attendedKeys + 50,
      }
      expect(model.predict(longer)).toBeGreaterThanOrEqual(predicted)
    }
  })

  it('predicts what it saw when it saw one kind of step only', () => {
    const model = new CostModel()
    for (let step = 0; step < 3; step += 1) model.observe(decodeStep, machine(decodeStep))
    expect(model.predict(decodeStep)).toBeCloseTo(machine(decodeStep), -1)
  })
})
