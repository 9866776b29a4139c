import { describe, expect, it } from 'vitest'
import { figuresOf, meets, mismatchesOf } from './figures.ts'
import type { RequestRecord } from './request-record.ts'

const record = (fields: Partial<RequestRecord> = {}): RequestRecord => ({
  index: 0,
  tenant: 'a',
  program: undefined,
  turn: 0,
  intendedAt: 1000,
  sentAt: 1010,
  firstTokenAt: 1100,
  endedAt: 1260,
  maxGap: 100,
  promptTokens: 10,
  cachedTokens: undefined,
  outputTokens: 3,
  error: undefined,
  tokenTimes: [1100, 1150, 1250],
  wanted: { promptTokens: 10, outputTokens: 3 },
  ...fields,
})

describe('the figures of a run', () => {
  it('count every latency from the intended arrival', () => {
    const figures = figuresOf([record()], {})
    expect(figures.ttftMs).toMatchObject({ count: 1, mean: 100 })
    expect(figures.e2eMs).toMatchObject({ mean: 260 })
    expect(figures.tbtMs).toMatchObject({ count: 2, mean: 75, min: 50, max: 100 })
    expect(figures.tpotMs).toMatchObject({ count: 1, mean: 75 })
    expect(figures.durationSeconds).toBeCloseTo(0.26)
    expect(figures.outputTokensPerSecond).toBeCloseTo(3 / 0.26)
  })

  it('divide by the tokens the server counted when one event carries several', () => {
    expect(figuresOf([record({ outputTokens: 7 })], {}).tpotMs).toMatchObject({ mean: 25 })
  })

  it('leave failed requests to the errors', () => {
    const failed = record({ error: '503: draining', tokenTimes: [], firstTokenAt: undefined })
    const figures = figuresOf([record(), failed, failed], {})
    expect(figures).toMatchObject({ numMeasured: 3, numFailed: 2, errors: { '503: draining': 2 } })
    expect(figures.ttftMs).toMatchObject({ count: 1 })
  })

  it('say nothing about nothing', () => {
    expect(figuresOf([], {})).toMatchObject({
      numMeasured: 0,
      durationSeconds: 0,
      requestsPerSecond: 0,
      tbtMs: undefined,
    })
  })

  it('count as goodput what met every goal, failed requests not', () => {
    expect(meets(record(), { ttftMs: 100, tbtMs: 100, e2eMs: 260 })).toBe(true)
    expect(meets(record(), { ttftMs: 99 })).toBe(false)
    expect(meets(record(), { tbtMs: 99 })).toBe(false)
    expect(meets(record(), { e2eMs: 259 })).toBe(false)
    const figures = figuresOf([record(), record({ error: 'gone' })], { ttftMs: 500 })
    expect(figures.goodput).toMatchObject({ share: 0.5 })
    expect(figuresOf([record()], {}).goodput).toBeUndefined()
  })

  it('leave out the first tenth and the last twentieth of a run of some length, nothing of a short one', () => {
    const many = Array.from({ length: 100 }, (_, index) => record({ intendedAt: index * 10 }))
    expect(figuresOf(many, {})).toMatchObject({ numMeasured: 85, numExcluded: 15 })
    expect(figuresOf(many.slice(0, 10), {})).toMatchObject({ numMeasured: 10, numExcluded: 0 })
  })

  it('warm up in every round, and leave the time between rounds out', () => {
    const round = (number: number): RequestRecord[] =>
      Array.from({ length: 100 }, (_, index) => {
        const due = number * 5000 + index * 10
        return record({ round: number, intendedAt: due, endedAt: due + 20 })
      })
    const [alone, both] = [figuresOf(round(0), {}), figuresOf([...round(0), ...round(1)], {})]
    expect(both).toMatchObject({ numMeasured: 170, numExcluded: 30 })
    expect(both.durationSeconds).toBeCloseTo(2 * alone.durationSeconds)
    expect(both.requestsPerSecond).toBeCloseTo(alone.requestsPerSecond)
  })

  it('count service as computed prompt tokens and twice the output, and say how it was shared', () => {
    const mine = record({ tenant: 'a', cachedTokens: 4 })
    const theirs = record({ tenant: 'b' })
    const { fairness, tenants, cachedShare } = figuresOf([mine, theirs], {})
    expect(fairness?.service.byTenant['a']?.at(-1)).toBeCloseTo(6 + 6)
    expect(fairness?.service.byTenant['b']?.at(-1)).toBeCloseTo(10 + 6)
    expect(fairness?.jain).toBeCloseTo((12 + 16) ** 2 / (2 * (12 ** 2 + 16 ** 2)))
    expect(tenants).toMatchObject([{ tenant: 'a', promptTokens: 10 }, { tenant: 'b' }])
    expect(cachedShare).toBeCloseTo(0.4)
    expect(figuresOf([mine], {}).fairness).toBeUndefined()
  })

  it('call a server unfair that starves a tenant for a while, though it serves everybody in the end', () => {
    const times = Array.from({ length: 100 }, (_, index) => index * 10)
    const served = (tenant: string, from: number): RequestRecord =>
      record({
        tenant,
        intendedAt: 0,
        endedAt: from + 1000,
        tokenTimes: times.map((at) => at + from),
        outputTokens: 100,
      })
    const starving = [served('a', 0), served('b', 1000)]
    const even = [served('a', 0), served('b', 0)]
    expect(figuresOf(even, {}).fairness?.jain).toBeCloseTo(1)
    expect(figuresOf(starving, {}).fairness?.jain).toBeLessThan(0.6)
    expect(figuresOf(starving, {}).fairness!.largestServiceGap).toBeGreaterThan(100)
  })

  it('name what came out otherwise than the trace asked', () => {
    const long = record({ outputTokens: 4, cachedTokens: 3 })
    expect(mismatchesOf([record({ cachedTokens: 3 }), long], [3])).toEqual({ outputTokens: 1 })
    expect(mismatchesOf([record({ cachedTokens: 2 })], [3])).toEqual({ cachedTokens: 1 })
    expect(mismatchesOf([record({ error: 'gone', outputTokens: 0 })], undefined)).toEqual({})
  })
})
