import { expect, it } from 'vitest'
import { makeReport } from '../../test/support/bench-report-fixture.ts'
import { textReport } from './text-report.ts'

const targets = [
  ['ours', 1],
  ['peer', 3],
] as const

it('has a column for each target and a row for each figure', () => {
  const report = makeReport({ targets, numRequests: 60, numTenants: 3 })
  const lines = textReport(report).split('\n')
  const row = (name: string): string[] =>
    lines
      .find((line) => line.startsWith(name))!
      .slice(22)
      .trim()
      .split(/\s{2,}/)
  expect(row('     ')).toEqual(['ours', 'peer'])
  const expected = report.targets.map(({ figures }) => figures.ttftMs!.p99.toFixed(2))
  expect(row('TTFT p99 ')).toEqual(expected)
})

it("shows every tenant's tail where there are several, and not too many", () => {
  const few = makeReport({ targets, numRequests: 60, numTenants: 3 })
  const { tenant, ttftMs } = few.targets[1]!.figures.tenants[0]!
  const line = textReport(few)
    .split('\n')
    .find((text) => text.startsWith(tenant))
  expect(line).toContain(ttftMs!.p99.toFixed(2))
  for (const numTenants of [1, 20]) {
    const text = textReport(makeReport({ targets, numRequests: 60, numTenants }))
    expect(text).not.toContain('of each tenant')
  }
})

it('names the knee of each target of a sweep', () => {
  const report = makeReport({ targets: [['ours', 1]], numRequests: 60, numTenants: 1 })
  const { figures } = report.targets[0]!
  const point = (requestsPerSecond: number, finished: number) => ({
    target: 'ours',
    requestsPerSecond,
    figures: { ...figures, goodput: undefined, requestsPerSecond: finished },
  })
  const knee = (...points: ReturnType<typeof point>[]): string => textReport({ ...report, sweep: points })
  expect(knee(point(4, 2), point(2, 2), point(1, 1))).toContain('ours: knee at 2.00 requests/s\n')
  expect(knee(point(1, 1), point(2, 1.9))).toContain('knee at 2.00 requests/s, the highest that was tried\n')
  expect(knee(point(1, 0.5))).toContain('ours keeps up with none of the rates\n')
})

it('says what went wrong', () => {
  const text = textReport(
    makeReport({ targets, numRequests: 60, numTenants: 1, isInterrupted: true, warnings: ['Too slow.'] }),
  )
  expect(text).toContain(', interrupted')
  expect(text).toContain('WARNING: Too slow.')
})
