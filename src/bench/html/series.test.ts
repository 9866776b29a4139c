import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { binned, binsOver, cumulative, doublingBins, largestOf, sampled, spread, thinned } from './series.ts'

const points = fc.array(fc.record({ x: fc.nat(100_000), y: fc.integer() }), { maxLength: 3000 })
const runs = { numRuns: 60 }

describe('thinned', () => {
  it('keeps the order, the extremes and the limit, and makes nothing up', () => {
    fc.assert(
      fc.property(points, fc.integer({ min: 2, max: 300 }), (raw, limit) => {
        const all = raw.toSorted((a, b) => a.x - b.x)
        const kept = thinned(all, limit)
        expect(kept.length).toBeLessThanOrEqual(limit + 2)
        expect(kept.every((point) => all.includes(point))).toBe(true)
        expect(kept.every(({ x }, index) => index === 0 || kept[index - 1]!.x <= x)).toBe(true)
        const heights = (list: typeof kept): number[] => list.map(({ y }) => y).toSorted((a, b) => a - b)
        expect([heights(kept)[0], heights(kept).at(-1)]).toEqual([heights(all)[0], heights(all).at(-1)])
      }),
      runs,
    )
  })
})

describe('sampled', () => {
  it('keeps the highest and about the limit', () => {
    fc.assert(
      fc.property(points, fc.integer({ min: 1, max: 500 }), (all, limit) => {
        const kept = sampled(all, limit)
        expect(kept.length).toBeLessThanOrEqual(limit + 10)
        if (all.length > 0) expect(kept.map(({ y }) => y)).toContain(Math.max(...all.map(({ y }) => y)))
      }),
      runs,
    )
  })
})

describe('cumulative', () => {
  it('says the share of values at or below each point, and keeps the tail', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(1_000_000), { minLength: 1, maxLength: 2000 }), (values) => {
        const shares = cumulative(values)
        expect(shares.length).toBeLessThanOrEqual(141)
        expect(shares.at(-1)).toEqual({ x: Math.max(...values), y: 1 })
        for (const { x, y } of shares) {
          expect(y).toBe(values.filter((value) => value <= x).length / values.length)
        }
      }),
      runs,
    )
  })
})

describe('spread', () => {
  it('loses no weight that lies inside the bins', () => {
    const spans = fc.array(
      fc.record({
        from: fc.double({ min: 0, max: 99, noNaN: true }),
        weight: fc.nat(1000),
        size: fc.nat(99),
      }),
    )
    fc.assert(
      fc.property(spans, (raw) => {
        const all = raw.map(({ from, weight, size }) => ({ from, to: Math.min(from + size, 99.9), weight }))
        const bins = { width: 5, count: 20 }
        const total = spread(all, bins).reduce((sum, { y }) => sum + y * bins.width, 0)
        expect(total).toBeCloseTo(
          all.reduce((sum, { weight }) => sum + weight, 0),
          4,
        )
      }),
      runs,
    )
  })

  it('gives each bin what falls into it', () => {
    const shares = spread([{ from: 5, to: 25, weight: 40 }], { width: 10, count: 3 })
    expect(shares).toEqual([
      { x: 5, y: 1 },
      { x: 15, y: 2 },
      { x: 25, y: 1 },
    ])
  })
})

describe('bins', () => {
  it('cover the whole run, in a round width', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 1e6, noNaN: true }), (span) => {
        const { width, count } = binsOver(span)
        expect(width * count).toBeGreaterThan(span * (1 - 1e-9))
        expect(count).toBeLessThanOrEqual(61)
        expect(['1', '2', '5']).toContain(width.toExponential(9)[0])
      }),
      runs,
    )
  })

  it('reduce what fell into them and leave the empty ones out', () => {
    const samples = [
      { x: 1, y: 3 },
      { x: 2, y: 9 },
      { x: 25, y: 4 },
    ]
    expect(binned(samples, { width: 10, count: 3 }, largestOf)).toEqual([
      { x: 5, y: 9 },
      { x: 25, y: 4 },
    ])
  })

  it('that double hold every value once', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1_000_000), { minLength: 1 }), (values) => {
        const bins = doublingBins(values)
        for (const { low, count } of bins) {
          const inside = (value: number): boolean =>
            low === 0 ? value === 0 : value >= low && value < 2 * low
          expect(count).toBe(values.filter(inside).length)
        }
        expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(values.length)
      }),
      runs,
    )
  })
})
