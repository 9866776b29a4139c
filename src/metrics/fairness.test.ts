import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { competingRates, jainIndex, largestServiceGap, type ServiceSeries } from './fairness.ts'

describe("Jain's index", () => {
  it('is 1 for equal shares, 1/n when one has everything, and lies between for anything else', () => {
    expect(jainIndex([3, 3, 3])).toBeCloseTo(1)
    expect(jainIndex([0, 0, 7, 0])).toBeCloseTo(1 / 4)
    expect(jainIndex([])).toBe(1)
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 20 }), (shares) => {
        const index = jainIndex(shares)
        expect(index).toBeGreaterThanOrEqual(1 / shares.length - 1e-12)
        expect(index).toBeLessThanOrEqual(1 + 1e-12)
      }),
    )
  })
})

/** Every stretch of bins, the slow way. */
function naiveGap(parties: readonly ServiceSeries[]): number {
  let largest = 0
  const at = (party: ServiceSeries, bin: number): number => (bin < 0 ? 0 : party.service[bin]!)
  for (const one of parties) {
    for (const other of parties) {
      const numBins = one.service.length
      for (let from = 0; from < numBins; from += 1) {
        for (let to = from; to < numBins; to += 1) {
          const both = one.isBacklogged
            .slice(from, to + 1)
            .every((busy, index) => busy && other.isBacklogged[from + index])
          if (!both) continue
          const gained = (party: ServiceSeries): number => at(party, to) - at(party, from - 1)
          largest = Math.max(largest, gained(one) - gained(other))
        }
      }
    }
  }
  return largest
}

const numBins = 8
const party = fc
  .tuple(
    fc.array(fc.nat(9), { minLength: numBins, maxLength: numBins }),
    fc.array(fc.boolean(), { minLength: numBins, maxLength: numBins }),
  )
  .map(([gains, isBacklogged]): ServiceSeries => {
    let sum = 0
    return { service: gains.map((gain) => (sum += gain)), isBacklogged }
  })

describe('the largest service gap', () => {
  it('is what the slow search over all stretches of time finds', () => {
    fc.assert(
      fc.property(fc.array(party, { minLength: 1, maxLength: 4 }), (parties) => {
        expect(largestServiceGap(parties)).toBe(naiveGap(parties))
      }),
    )
  })

  it('forgives a tenant that had nothing to do', () => {
    const busy = { service: [5, 10], isBacklogged: [true, true] }
    expect(largestServiceGap([busy, { service: [0, 0], isBacklogged: [false, false] }])).toBe(0)
    expect(largestServiceGap([busy, { service: [0, 0], isBacklogged: [true, true] }])).toBe(10)
  })
})

describe('rates of service while competing', () => {
  it('leave out what a party got alone, and parties that were always alone', () => {
    const long = { service: [9, 12, 15, 24], isBacklogged: [true, true, true, true] }
    const short = { service: [0, 1, 2, 2], isBacklogged: [false, true, true, false] }
    const never = { service: [0, 0, 0, 0], isBacklogged: [false, false, false, false] }
    expect(competingRates([long, short, never])).toEqual([3, 1])
    expect(competingRates([long, never])).toEqual([])
    expect(competingRates([])).toEqual([])
  })

  it('are those of a slow count', () => {
    fc.assert(
      fc.property(fc.array(party, { minLength: 1, maxLength: 4 }), (parties) => {
        const rates = parties.flatMap((own) => {
          const gains = own.service.flatMap((sum, bin) =>
            own.isBacklogged[bin] && parties.some((other) => other !== own && other.isBacklogged[bin])
              ? [sum - (own.service[bin - 1] ?? 0)]
              : [],
          )
          return gains.length === 0 ? [] : [gains.reduce((a, b) => a + b) / gains.length]
        })
        expect(competingRates(parties)).toEqual(rates)
      }),
    )
  })
})
