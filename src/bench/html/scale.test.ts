import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { linearScale, logScale, type Scale } from './scale.ts'

const options = { range: [0, 100], numTicks: 5 } as const

function expectSound(scale: Scale, low: number, high: number): void {
  // A tick may be short of a value by a rounding error, which nobody sees.
  const slack = (value: number): number => (scale.kind === 'log' ? value : scale.high - scale.low) * 1e-5
  expect(scale.low).toBeLessThanOrEqual(low + slack(low))
  expect(scale.high).toBeGreaterThanOrEqual(high - slack(high))
  expect(scale.ticks.length).toBeGreaterThan(0)
  expect(scale.ticks.length).toBeLessThanOrEqual(options.numTicks + 3)
  const places = scale.ticks.map((tick) => scale.at(tick))
  expect(places.every((place) => place >= -1e-6 && place <= 100 + 1e-6)).toBe(true)
  expect(places.every((place, index) => index === 0 || place > places[index - 1]!)).toBe(true)
}

describe('scales', () => {
  it('hold all values between their ends, with a few ticks in order, when linear', () => {
    const figure = fc.double({ min: -1e9, max: 1e9, noNaN: true })
    fc.assert(
      fc.property(figure, figure, (a, b) => {
        fc.pre(Math.abs(a) > 1e-9 && Math.abs(b) > 1e-9)
        expectSound(linearScale(Math.min(a, b), Math.max(a, b), options), Math.min(a, b), Math.max(a, b))
      }),
    )
  })

  it('and when logarithmic', () => {
    const figure = fc.double({ min: -3, max: 12, noNaN: true }).map((power) => 10 ** power)
    fc.assert(
      fc.property(figure, figure, (a, b) => {
        expectSound(logScale(Math.min(a, b), Math.max(a, b), options), Math.min(a, b), Math.max(a, b))
      }),
    )
  })

  it('put values where they belong', () => {
    expect(linearScale(0, 10, options).at(5)).toBe(50)
    expect(logScale(1, 10_000, options).at(100)).toBeCloseTo(50)
    expect(linearScale(0, 10, options).ticks).toEqual([0, 2, 4, 6, 8, 10])
    expect(logScale(1, 90, { ...options, numTicks: 6 }).ticks).toEqual([1, 2, 5, 10, 20, 50, 100])
    expect(logScale(3, 2_000_000, { ...options, numTicks: 7 }).ticks[0]).toBe(1)
    expect(linearScale(3, 37, { ...options, isTight: true })).toMatchObject({
      low: 3,
      high: 37,
      ticks: [10, 20, 30],
    })
  })
})
