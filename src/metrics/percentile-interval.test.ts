import { describe, expect, it } from 'vitest'

import { RandomStream } from '../core/random.ts'
import { estimatePercentile } from './percentile-interval.ts'

describe('percentile interval', () => {
  it.each([
    [0.5, 100],
    [0.9, 400],
    [0.99, 3000],
  ])('holds the true p%d of uniform samples in about 95 of 100 cases', (fraction, count) => {
    const random = new RandomStream(count)
    let numInside = 0
    for (let round = 0; round < 400; round++) {
      const values = Array.from({ length: count }, () => random.next())
      const { low, high } = estimatePercentile(values, fraction)!
      if (low <= fraction && fraction <= high) numInside += 1
    }
    expect(numInside).toBeGreaterThan(368)
    expect(numInside).toBeLessThan(400)
  })

  it('holds the percentile of its own sample', () => {
    const { low, value, high } = estimatePercentile([5, 1, 4, 2, 3, 9, 8, 7, 6, 10, 11, 12], 0.5)!
    expect(low).toBeLessThanOrEqual(value)
    expect(value).toBeLessThanOrEqual(high)
  })

  it('has no end where the sample is too small to know', () => {
    expect(estimatePercentile([1, 2, 3], 0.99)).toMatchObject({ high: Infinity })
    expect(estimatePercentile([1], 0.5)).toMatchObject({ low: -Infinity, high: Infinity })
    expect(estimatePercentile([], 0.5)).toBeUndefined()
  })
})
