import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { percentile, summarize } from './summary.ts'

describe('a summary', () => {
  it('says nothing about nothing', () => {
    expect(summarize([])).toBeUndefined()
  })

  it('gives one value back as every figure', () => {
    expect(summarize([7])).toEqual({ count: 1, mean: 7, min: 7, p50: 7, p90: 7, p99: 7, max: 7 })
  })

  it('agrees with NumPy on a small sample in any order', () => {
    // numpy.percentile([1, 2, 3, 4, 10], [50, 90, 99])
    const summary = summarize([10, 3, 1, 4, 2])!
    expect(summary).toMatchObject({ count: 5, mean: 4, min: 1, p50: 3, max: 10 })
    expect(summary.p90).toBeCloseTo(7.6, 12)
    expect(summary.p99).toBeCloseTo(9.76, 12)
  })

  it('sorts by value and not by text', () => {
    expect(summarize([9, 10, 100])).toMatchObject({ min: 9, p50: 10, max: 100 })
  })

  it('leaves its input as it was', () => {
    const values = [3, 1, 2]
    summarize(values)
    expect(values).toEqual([3, 1, 2])
  })

  it('has percentiles that rise with the fraction and stay inside the sample', () => {
    const sample = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 })
    const fraction = fc.double({ noNaN: true, min: 0, max: 1 })
    fc.assert(
      fc.property(sample, fraction, fraction, (values, a, b) => {
        const sorted = values.toSorted((x, y) => x - y)
        const [low, high] = [percentile(sorted, Math.min(a, b)), percentile(sorted, Math.max(a, b))]
        const slack = 1e-6
        expect(low).toBeLessThanOrEqual(high + slack)
        expect(low).toBeGreaterThanOrEqual(sorted[0]! - slack)
        expect(high).toBeLessThanOrEqual(sorted.at(-1)! + slack)
      }),
    )
  })
})
