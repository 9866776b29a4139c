import { describe, expect, it } from 'vitest'

import { RandomStream } from '../core/random.ts'
import {
  exponential,
  gamma,
  gammaFunction,
  logNormal,
  normal,
  weibull,
  WeightedChoice,
  zipfWeights,
} from './distributions.ts'

const numDraws = 40_000

function moments(draw: (random: RandomStream) => number): { mean: number; deviation: number } {
  const random = new RandomStream(5)
  const values = Array.from({ length: numDraws }, () => draw(random))
  const mean = values.reduce((sum, value) => sum + value) / numDraws
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numDraws
  return { mean, deviation: Math.sqrt(variance) }
}

describe('draws have the mean and deviation of their distribution', () => {
  it.each([
    ['exponential', exponential, 1, 1],
    ['normal', normal, 0, 1],
    ['gamma of shape 0.25', (random: RandomStream) => gamma(random, 0.25), 0.25, 0.5],
    ['gamma of shape 4', (random: RandomStream) => gamma(random, 4), 4, 2],
    ['log-normal', (random: RandomStream) => logNormal(random, 10, 0.5), 10, 5],
    // Γ(1.5) and the square root of Γ(2) - Γ(1.5)².
    ['Weibull of shape 2', (random: RandomStream) => weibull(random, 2), 0.8862, 0.4633],
  ])('%s', (_, draw, mean, deviation) => {
    const drawn = moments(draw)
    // Five standard errors of the mean; deviations of skewed distributions converge more slowly.
    expect(Math.abs(drawn.mean - mean)).toBeLessThan((5 * deviation) / Math.sqrt(numDraws))
    expect(Math.abs(drawn.deviation / deviation - 1)).toBeLessThan(0.05)
  })
})

it('knows the gamma function', () => {
  expect(gammaFunction(1)).toBeCloseTo(1, 10)
  expect(gammaFunction(6)).toBeCloseTo(120, 8)
  expect(gammaFunction(3.5)).toBeCloseTo(3.32335097, 7)
})

it('chooses in proportion to weights, and never what has none', () => {
  const random = new RandomStream(1)
  const choice = new WeightedChoice([1, 0, 3])
  const counts = [0, 0, 0]
  for (let index = 0; index < numDraws; index += 1) counts[choice.draw(random)]! += 1
  expect(counts[1]).toBe(0)
  expect(counts[2]! / counts[0]!).toBeCloseTo(3, 0)
  expect(() => new WeightedChoice([0, 0])).toThrow(/sum to zero/)
})

it('weighs by the Zipf law', () => {
  expect(zipfWeights(3, 1)).toEqual([1, 1 / 2, 1 / 3])
  expect(zipfWeights(2, 0)).toEqual([1, 1])
})
