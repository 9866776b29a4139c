import { describe, expect, it } from 'vitest'

import { RandomStream } from '../core/random.ts'
import { cyclicArrivals, gammaArrivals, poissonArrivals } from './arrivals.ts'

describe('Poisson arrivals', () => {
  const gapsOf = (arrivals: readonly number[]): number[] =>
    arrivals.map((at, index) => at - (arrivals[index - 1] ?? 0))

  it('are the same for the same seed and others for another', () => {
    const draw = (seed: number) => poissonArrivals(100, 5, new RandomStream(seed))
    expect(draw(1)).toEqual(draw(1))
    expect(draw(1)).not.toEqual(draw(2))
  })

  it('come at the rate, in order, in whole microseconds', () => {
    const arrivals = poissonArrivals(20_000, 50, new RandomStream(7))
    expect(gapsOf(arrivals).every((gap) => gap >= 0)).toBe(true)
    expect(arrivals.every(Number.isInteger)).toBe(true)
    // The mean of 20,000 exponential gaps of 20 ms deviates by 0.14 ms; five of those are allowed.
    expect(arrivals.at(-1)! / 20_000 / 1000).toBeGreaterThan(19.3)
    expect(arrivals.at(-1)! / 20_000 / 1000).toBeLessThan(20.7)
  })

  it('have exponential gaps: their deviation equals their mean, and 1/e of them are longer than it', () => {
    const gaps = gapsOf(poissonArrivals(20_000, 50, new RandomStream(3)))
    const mean = gaps.reduce((sum, gap) => sum + gap) / gaps.length
    const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length)
    expect(deviation / mean).toBeCloseTo(1, 1)
    expect(gaps.filter((gap) => gap > mean).length / gaps.length).toBeCloseTo(Math.exp(-1), 1)
  })

  it('need a rate', () => {
    expect(() => poissonArrivals(1, 0, new RandomStream(1))).toThrow(/rate of 0/)
  })
})

describe('arrivals in bursts', () => {
  it('have the rate and the coefficient of variation that were asked for', () => {
    const arrivals = gammaArrivals(50_000, 20, 3, new RandomStream(11))
    const gaps = arrivals.map((at, index) => at - (arrivals[index - 1] ?? 0))
    const mean = gaps.reduce((sum, gap) => sum + gap) / gaps.length
    const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length)
    expect(mean / 50_000).toBeCloseTo(1, 1)
    expect(deviation / mean).toBeGreaterThan(2.8)
    expect(deviation / mean).toBeLessThan(3.2)
  })
})

describe('arrivals through a day', () => {
  it('come mostly at its middle and hardly at its ends, at the mean rate over whole days', () => {
    const cycle = { meanRatePerSecond: 2, amplitude: 1, periodSeconds: 1000 }
    const arrivals = cyclicArrivals(20_000, cycle, new RandomStream(2))
    const hours = [0, 0, 0, 0]
    for (const at of arrivals) hours[Math.floor(((at / 1e6) % 1000) / 250)]! += 1
    // Shares of quarters of 1 - cos: (1/4 - 1/(2π)) and (1/4 + 1/(2π)).
    expect(hours[0]! / 20_000).toBeCloseTo(0.0908, 1)
    expect(hours[1]! / 20_000).toBeCloseTo(0.4092, 1)
    expect(arrivals.at(-1)! / 1e6).toBeGreaterThan(9500)
    expect(arrivals.at(-1)! / 1e6).toBeLessThan(10_500)
  })
})
