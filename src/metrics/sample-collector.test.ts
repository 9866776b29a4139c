import { expect, test } from 'vitest'
import { RandomStream } from '../core/random.ts'
import { SampleCollector } from './sample-collector.ts'
import { summarize } from './summary.ts'

function collect(values: Iterable<number>): SampleCollector {
  const collector = new SampleCollector()
  for (const value of values) collector.add(value)
  return collector
}

test('a few values are summarised as they are', () => {
  const values = [3, 1, 4, 1, 5, 9, 2.5, 0]
  expect(collect(values).summary()).toEqual(summarize(values))
  expect(collect([]).summary()).toBeUndefined()
})

test('millions of values are summarised to within a thousandth', () => {
  const random = new RandomStream(1)
  const values = Array.from({ length: 1_200_000 }, () => Math.exp(6 * random.next()) - 1)
  const [exact, made] = [summarize(values)!, collect(values).summary()!]
  expect(made).toMatchObject({ count: exact.count, min: exact.min, max: exact.max })
  expect(made.mean / exact.mean).toBeCloseTo(1, 9)
  for (const key of ['p50', 'p90', 'p99'] as const) {
    expect(Math.abs(made[key] / exact[key] - 1)).toBeLessThan(0.0011)
  }
})

test('zeros, and values beyond all buckets, are counted', () => {
  const values = Array.from({ length: 1_000_003 }, (_, index) => (index < 600_000 ? 0 : 1e15))
  expect(collect(values).summary()).toMatchObject({ min: 0, p50: 0, max: 1e15, count: 1_000_003 })
})
