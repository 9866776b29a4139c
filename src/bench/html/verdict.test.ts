import { describe, expect, it } from 'vitest'

import { RandomStream } from '../../core/random.ts'
import { summarize } from '../../metrics/summary.ts'
import { findBest, type Cell } from './verdict.ts'

/** A median with the sample behind it. */
function median(values: readonly number[]): Cell {
  return { value: summarize(values)?.p50, sample: { values, fraction: 0.5 } }
}

const draw = (count: number, scale: number, random: RandomStream): number[] =>
  Array.from({ length: count }, () => -Math.log(1 - random.next()) * scale)

describe('findBest', () => {
  it('finds the lowest or the highest, as asked', () => {
    const cells = [{ value: 30 }, { value: 10 }, { value: 20 }]
    expect(findBest(cells, 'lower')).toBe(1)
    expect(findBest(cells, 'higher')).toBe(0)
  })

  it('says nothing where values differ by five percent or less', () => {
    expect(findBest([{ value: 100 }, { value: 95.1 }], 'lower')).toBeUndefined()
    expect(findBest([{ value: 100 }, { value: 94.9 }], 'lower')).toBe(1)
  })

  it('says nothing about one column, or columns without figures', () => {
    expect(findBest([{ value: 1 }], 'lower')).toBeUndefined()
    expect(findBest([{ value: 1 }, { value: undefined }, { value: Number.NaN }], 'lower')).toBeUndefined()
  })

  it('does not praise a target that is fast because it failed', () => {
    expect(findBest([{ value: 1, isEligible: false }, { value: 100 }], 'lower')).toBeUndefined()
    expect(findBest([{ value: 1 }, { value: 100, isEligible: false }], 'lower')).toBe(0)
  })

  it('rarely finds a best among samples of one distribution, and does among those that are apart', () => {
    const random = new RandomStream(1)
    let [numFalse, numTrue] = [0, 0]
    for (let round = 0; round < 200; round++) {
      const same = [median(draw(150, 10, random)), median(draw(150, 10, random))]
      const apart = [median(draw(150, 10, random)), median(draw(150, 30, random))]
      if (findBest(same, 'lower') !== undefined) numFalse += 1
      if (findBest(apart, 'lower') === 0) numTrue += 1
    }
    expect(numFalse).toBeLessThan(10)
    expect(numTrue).toBeGreaterThan(180)
  })

  it('never calls a p99 best that rests on few requests', () => {
    const tail = (values: readonly number[]): Cell => ({
      value: summarize(values)?.p99,
      sample: { values, fraction: 0.99 },
    })
    const random = new RandomStream(2)
    expect(findBest([tail(draw(50, 1, random)), tail(draw(50, 5, random))], 'lower')).toBeUndefined()
    expect(findBest([tail(draw(5000, 1, random)), tail(draw(5000, 5, random))], 'lower')).toBe(0)
  })
})
