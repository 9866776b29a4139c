import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { arbitraryReport } from '../../test/support/arbitrary-bench-report.ts'
import { makeReport } from '../../test/support/bench-report-fixture.ts'
import { renderReport } from './html/render-report.ts'
import { parseBenchReport } from './parse-bench-report.ts'

const report = makeReport({ targets: [['a', 1]], numRequests: 60, numTenants: 3, hasSweep: true })

describe('parseBenchReport', () => {
  it('reads what was written, to the same page', () => {
    const read = parseBenchReport(JSON.stringify(report), 'out.json')
    expect(read).toEqual(report)
    expect(renderReport(read)).toBe(renderReport(report))
  })

  it.each([
    ['', /^out\.json: not JSON/],
    ['null', /^out\.json: no report of switchyard bench/],
    ['{"requestsPerSecond": 3}', /^out\.json: no report of switchyard bench/],
    [JSON.stringify({ ...report, targets: 3 }), /^out\.json: targets: .*array/],
    [
      JSON.stringify({ ...report, machine: { ...report.machine, cpu: 5 } }),
      /^out\.json: machine\.cpu: .*string/,
    ],
  ])('names the place in %.40s', (text, message) => {
    expect(() => parseBenchReport(text, 'out.json')).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST', message: expect.stringMatching(message) }),
    )
  })

  it('answers any JSON with a report that can be drawn, or an error with a code', () => {
    const damaged = fc.tuple(arbitraryReport, fc.string(), fc.jsonValue()).map(([good, key, value]) => {
      const fields = Object.keys(good)
      return JSON.stringify({ ...good, [fields[key.length % fields.length]!]: value })
    })
    fc.assert(
      fc.property(damaged, (text) => {
        try {
          expect(renderReport(parseBenchReport(text, 'out.json'))).toContain('</html>')
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_REQUEST' })
        }
      }),
      { numRuns: 60 },
    )
  })
})
