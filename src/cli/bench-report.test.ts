import { describe, expect, it } from 'vitest'

import type { RequestRecord } from './bench-client.ts'
import { benchTable, summarizeRun } from './bench-report.ts'

const record = (fields: Partial<RequestRecord>): RequestRecord => ({
  intendedAt: 1000,
  tokenTimes: [1100, 1150, 1250],
  endedAt: 1260,
  numPromptTokens: 10,
  numOutputTokens: 3,
  error: undefined,
  ...fields,
})

describe('the report of a bench run', () => {
  it('counts every latency from the intended arrival', () => {
    const result = summarizeRun([record({})], 2)
    expect(result.ttftMs).toMatchObject({ count: 1, mean: 100 })
    expect(result.e2eMs).toMatchObject({ mean: 260 })
    expect(result.tbtMs).toMatchObject({ count: 2, mean: 75, min: 50, max: 100 })
    expect(result.tpotMs).toMatchObject({ count: 1, mean: 75 })
    expect(result).toMatchObject({
      outputTokensPerSecond: 1.5,
      totalTokensPerSecond: 6.5,
      requestsPerSecond: 0.5,
    })
  })

  it('divides by the tokens the server counted when one event carries several', () => {
    expect(summarizeRun([record({ numOutputTokens: 6 })], 1).tpotMs).toMatchObject({ mean: 30 })
  })

  it('leaves failed requests out of all figures but their count', () => {
    const failed = record({ error: '503: loading', tokenTimes: [], numOutputTokens: 0 })
    const result = summarizeRun([record({}), failed, failed], 1)
    expect(result).toMatchObject({
      numCompleted: 1,
      numFailed: 2,
      errors: { '503: loading': 2 },
      outputTokens: 3,
    })
    expect(benchTable(result)).toContain('2 x 503: loading')
  })

  it('has no time between tokens for answers of one token', () => {
    const result = summarizeRun([record({ tokenTimes: [1100], numOutputTokens: 1 })], 1)
    expect(result).toMatchObject({ tbtMs: undefined, tpotMs: undefined })
    expect(benchTable(result)).toMatch(/^TBT +- +- +- +-$/m)
  })
})
