import fc from 'fast-check'
import { expect, test } from 'vitest'
import { figuresOf, mismatchesOf } from './figures.ts'
import type { RequestRecord } from './request-record.ts'
import { RunningFigures } from './running-figures.ts'

const records = fc.array(
  fc
    .record({
      tenant: fc.constantFrom('a', 'b'),
      intendedAt: fc.nat(1000),
      wait: fc.nat(100),
      gaps: fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 8 }),
      cachedTokens: fc.constantFrom(undefined, 0, 4),
      wantedOutput: fc.integer({ min: 1, max: 8 }),
      error: fc.constantFrom(undefined, undefined, 'too long'),
    })
    .map(({ tenant, intendedAt, wait, gaps, cachedTokens, wantedOutput, error }): RequestRecord => {
      const tokenTimes = gaps.reduce((times, gap) => [...times, times.at(-1)! + gap], [intendedAt + wait])
      return {
        ...{ index: 0, tenant, program: undefined, turn: 0, intendedAt, sentAt: intendedAt, error },
        ...{ firstTokenAt: tokenTimes[0], endedAt: tokenTimes.at(-1)!, maxGap: undefined },
        ...{ promptTokens: 10, cachedTokens, outputTokens: tokenTimes.length, tokenTimes },
        wanted: { promptTokens: 10, outputTokens: wantedOutput },
      }
    }),
  { minLength: 1, maxLength: 30 },
)

test('figures of requests that are not kept are those of requests that are', () => {
  const goals = { ttftMs: 60, tbtMs: 40 }
  fc.assert(
    fc.property(records, fc.integer({ min: 1, max: 1000 }), (all, until) => {
      const counts = ({ intendedAt }: RequestRecord): boolean => intendedAt < until
      const running = new RunningFigures(goals, counts)
      for (const record of all) {
        const { tokenTimes, error } = record
        if (!running.add(record) || error !== undefined) continue
        tokenTimes.slice(1).forEach((at, index) => running.addGaps(at - tokenTimes[index]!, 1))
      }
      const expected = figuresOf(all, goals, new Set(all.filter(counts)))
      expect(running.figures).toEqual({ ...expected, fairness: undefined })
      expect(running.mismatches).toEqual(mismatchesOf(all, undefined))
    }),
  )
})
