import { describe, expect, test } from 'vitest'
import { RandomStream } from '../../core/random.ts'
import { devices } from './devices.ts'
import type { StepShape } from './latency-model.ts'
import { fitSteps, heldOutError, measured, predictStep } from './measured.ts'
import { models } from './models.ts'
import { costsOf, kvTokensOf, roofline } from './roofline.ts'

const model = costsOf('llama-3.1-8b', models['llama-3.1-8b'])
const decodes = (count: number, context: number): StepShape => ({
  numSequences: count,
  numSamples: count,
  numTokens: count,
  numChunks: 0,
  decodeKeys: count * context,
  prefillKeys: 0,
  chunkKeys: 0,
})

describe('roofline', () => {
  const ideal = { compute: 1, bandwidth: 1, stepMicros: 0 }

  test('has the parameters and the cache that the model is known for', () => {
    const embedding = model.headParameters
    expect((model.layerParameters + 2 * embedding) / 1e9).toBeCloseTo(8.03, 2)
    expect(model.kvBytesPerToken).toBe(131_072)
  })

  test('reads all weights once for a single decode', () => {
    const micros = roofline(model, devices['h100-sxm'], ideal).stepMicros(decodes(1, 1))
    expect(micros).toBeCloseTo((1e6 * (model.layerBytes + model.headBytes)) / 3.35e12, -1)
  })

  test('is bound by compute for a long prompt, and grows with the square of its length', () => {
    const latency = roofline(model, devices['h100-sxm'], ideal)
    const prompt = (length: number): number =>
      latency.stepMicros({
        numSequences: 1,
        numSamples: 1,
        numTokens: length,
        numChunks: 1,
        decodeKeys: 0,
        prefillKeys: (length * length) / 2,
        chunkKeys: length,
      })
    expect(prompt(8192)).toBeGreaterThan((1e6 * 2 * model.layerParameters * 8192) / 989e12)
    expect(prompt(65_536) / prompt(32_768)).toBeGreaterThan(2.2)
  })

  test('pays for long contexts in the cache that each decode reads', () => {
    const latency = roofline(model, devices['h100-sxm'], ideal)
    const extra = latency.stepMicros(decodes(32, 32_000)) - latency.stepMicros(decodes(32, 1000))
    expect(extra).toBeCloseTo((1e6 * 32 * 31_000 * 131_072) / 3.35e12, 0)
  })

  test('leaves room for the cache beside the weights, or none', () => {
    expect(kvTokensOf(model, devices['h100-sxm'])).toBeGreaterThan(300_000)
    expect(kvTokensOf(costsOf('70b', models['llama-3.1-70b']), devices['h100-sxm'])).toBe(0)
  })
})

describe('a fit of measured steps', () => {
  /** Bends at 16 rows, as a kernel that changes from vectors to tiles; three rows take as long as four. */
  const machine = (shape: StepShape): number => {
    const rows = Math.ceil(shape.numTokens / 4) * 4
    const samples = Math.ceil(shape.numSamples / 4) * 4
    const products = 900 * Math.min(rows, 16) + 200 * Math.max(0, rows - 16) + 300 * samples
    const attention = 0.5 * shape.decodeKeys + 0.02 * shape.prefillKeys + 2 * shape.chunkKeys
    const building = shape.numChunks > 0 ? 700 + 40 * shape.numSequences : 0
    return 3000 + products + attention + building
  }

  function steps(count: number, noise: number) {
    const random = new RandomStream(5)
    return Array.from({ length: count }, () => {
      const numSamples = 3 + random.below(62)
      const chunk = random.below(3) === 0 ? 1 + random.below(400) : 0
      const context = random.below(2000)
      const shape = {
        numSequences: numSamples + (chunk > 0 ? 1 : 0),
        numSamples,
        numTokens: numSamples + chunk,
        numChunks: chunk > 0 ? 1 : 0,
        decodeKeys: numSamples * context,
        prefillKeys: chunk * context,
        chunkKeys: chunk > 0 ? context + chunk : 0,
      }
      return { shape, micros: machine(shape) * (1 + noise * (2 * random.next() - 1)) }
    })
  }

  test('finds a machine of its own kind again', () => {
    const { fit } = fitSteps(steps(400, 0))
    for (const { shape, micros } of steps(50, 0)) {
      expect(Math.abs(predictStep(fit, shape) / micros - 1)).toBeLessThan(0.01)
    }
  })

  test('is not misled by a machine that does something else in a third of its steps', () => {
    const random = new RandomStream(8)
    const disturbed = steps(600, 0.05).map(({ shape, micros }) => ({
      shape,
      micros: random.below(3) === 0 ? micros * (5 + random.below(400)) : micros,
    }))
    const fitted = fitSteps(disturbed)
    expect(fitted.disturbed.steps).toBeGreaterThan(0.28)
    expect(fitted.disturbed.steps).toBeLessThan(0.38)
    expect(fitted.disturbed.time).toBeGreaterThan(0.9)
    for (const { shape, micros } of steps(50, 0)) {
      expect(Math.abs(predictStep(fitted.fit, shape) / micros - 1)).toBeLessThan(0.05)
    }
  })

  test('tells how far off it is on steps that it has not seen', () => {
    const error = heldOutError(steps(1000, 0.2))
    expect(error.numHeldOut).toBe(200)
    // The mean of |noise| is a tenth; a fit cannot be better than that.
    expect(error.mean).toBeGreaterThan(0.08)
    expect(error.mean).toBeLessThan(0.13)
    expect(Math.abs(error.bias)).toBeLessThan(0.02)
  })

  test('tells how much steps differ that do the same', () => {
    const random = new RandomStream(3)
    const error = heldOutError(
      Array.from({ length: 1000 }, () => ({
        shape: decodes(4, 100),
        micros: 1000 * (1 + 0.2 * (2 * random.next() - 1)),
      })),
    )
    expect(error.noise).toBeGreaterThan(0.08)
    expect(error.noise).toBeLessThan(0.12)
    expect(error.mean / error.noise).toBeLessThan(1.2)
  })

  test('never predicts that more work takes less time', () => {
    const latency = measured({
      step: fitSteps(steps(200, 0.5)).fit,
      request: { micros: 100, microsPerToken: 2 },
      answerMicros: 50,
    })
    for (let count = 1; count < 100; count += 1) {
      expect(latency.stepMicros(decodes(count + 1, 500))).toBeGreaterThanOrEqual(
        latency.stepMicros(decodes(count, 500)),
      )
    }
    expect(latency.requestMicros(50)).toBe(200)
  })
})
