import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { arbitraryReport } from '../../../test/support/arbitrary-bench-report.ts'
import { makeReport } from '../../../test/support/bench-report-fixture.ts'
import type { Summary } from '../../metrics/summary.ts'
import type { BenchReport } from '../bench-report.ts'
import { formatCount, formatFigure, formatShare } from './format.ts'
import { renderReport, renderReports } from './render-report.ts'

const two = makeReport({
  targets: [
    ['switchyard', 1],
    ['llama-server', 1.4],
  ],
  numRequests: 1500,
  numTenants: 9,
  hasSweep: true,
})

const page = renderReport(two)

describe('renderReport', () => {
  it('writes a page whose tags are closed in order', () => {
    expect(misplacedTags(page)).toEqual([])
  })

  it('has every figure of every target in its table', () => {
    const table = between(page, '<table class="headline">', '</table>')
    for (const { figures } of two.targets) {
      for (const key of ['ttftMs', 'tbtMs', 'tpotMs', 'e2eMs'] as const) {
        const summary: Summary = figures[key]!
        for (const value of [summary.p50, summary.p90, summary.p99]) {
          expect(cellsOf(table)).toContain(formatFigure(value))
        }
      }
      for (const value of [
        formatFigure(figures.requestsPerSecond),
        formatFigure(figures.promptTokensPerSecond),
        formatFigure(figures.outputTokensPerSecond),
        formatFigure(figures.goodput!.requestsPerSecond),
        formatShare(figures.goodput!.share),
        formatCount(figures.numMeasured),
        formatCount(figures.numExcluded),
        formatCount(figures.numFailed),
        figures.fairness!.jain.toFixed(3),
        formatCount(figures.fairness!.largestServiceGap),
      ]) {
        expect(cellsOf(table)).toContain(value)
      }
    }
  })

  it('says nothing of fairness where there is one tenant', () => {
    const alone = renderReport(makeReport({ targets: [['a', 1]], numRequests: 60, numTenants: 1 }))
    expect(page).toContain('Jain’s index')
    expect(alone).not.toContain('Jain’s index')
    expect(alone).not.toContain('Service by tenant')
  })

  it('has no figure in its table that is not in the report', () => {
    const known = new Set(two.targets.flatMap(({ figures }) => numbersIn(figures).flatMap(asWritten)))
    const cells = cellsOf(between(page, '<table class="headline">', '</table>'))
    expect(cells.filter((cell) => cell !== '–' && !known.has(cell))).toEqual([])
    expect(cells.length).toBeGreaterThan(40)
  })

  it('names machine, versions, command, seed and every step of the workload', () => {
    const origin = between(page, '<section id="origin">', '</section>')
    for (const text of [
      two.command,
      two.machine.cpu,
      two.machine.nodeVersion,
      '16 GiB',
      'llama-server b6123',
      '<dd>42</dd>',
      '<b>scale-rate</b>',
      'factor <code>0.8</code>',
    ]) {
      expect(origin).toContain(text)
    }
  })

  it('asks the network for nothing', () => {
    expect(loadsOf(page)).toEqual(['data:,'])
    expect(page).not.toMatch(/@import|url\(|fetch\(|XMLHttpRequest|WebSocket|sendBeacon|new Image|import\(/)
  })

  it('stays small for many requests, tenants and targets', () => {
    const big = makeReport({
      targets: [
        ['a', 1],
        ['b', 1.1],
        ['c', 1.2],
        ['d', 1.3],
      ],
      numRequests: 5000,
      numTenants: 27,
      hasSweep: true,
    })
    const page = renderReport(big)
    expect(Buffer.byteLength(page)).toBeLessThan(500_000)
    expect(page).toMatch(/Drawn are every k-th request and the ten slowest: [\d,]+ of 4,\d+ of a/)
  })

  it('gives the same page for the same report', () => {
    expect(renderReport(two)).toBe(page)
  })

  it('shows text from data as text', () => {
    const evil = `</style></script><img src="http://x/" onerror='alert(1)'>&amp;\u0000\u202E\uD800`
    const hostile = renderReport(withTexts(two, evil))
    expect(misplacedTags(hostile)).toEqual([])
    expect(hostile).not.toContain('<img')
    for (const character of ['\u0000', '\u202E']) expect(hostile).not.toContain(character)
    expect(hostile).toContain('&lt;img src=&quot;http://x/&quot; onerror=&#39;alert(1)&#39;&gt;&amp;amp;')
    expect(Buffer.from(hostile, 'utf8').toString('utf8')).toBe(hostile)
    expect(hostile.match(/<script/g)).toHaveLength(1)
  })
})

describe('warnings', () => {
  it('stand before the figures, and keep cells from being called best', () => {
    const [believed, doubted] = [[], ['Requests were sent late.']].map((warnings) =>
      renderReport({ ...two, client: { ...two.client, warnings } }),
    )
    expect(believed).toContain('class="best"')
    expect(doubted).not.toContain('class="best"')
    expect(doubted!.indexOf('Requests were sent late.')).toBeGreaterThan(0)
    expect(doubted!.indexOf('Requests were sent late.')).toBeLessThan(doubted!.indexOf('<table'))
  })

  it('say that a run was ended by hand, that requests failed and why', () => {
    const page = renderReport(
      makeReport({
        targets: [['a', 1]],
        numRequests: 400,
        numTenants: 1,
        failedShare: 0.3,
        isInterrupted: true,
      }),
    )
    expect(page).toContain('Ended by hand')
    expect(page).toMatch(/a: \d+ requests failed\./)
    expect(page).toContain('HTTP 503: overloaded')
  })

  it('say so when there is no target, or none with an answer', () => {
    const empty = renderReport(makeReport({ targets: [], numRequests: 0, numTenants: 0 }))
    expect(empty).toContain('No target was measured.')
    expect(misplacedTags(empty)).toEqual([])
    const silent = renderReport(
      makeReport({ targets: [['a', 1]], numRequests: 40, numTenants: 1, failedShare: 1 }),
    )
    expect(silent).toContain('a: no request was both answered and measured.')
    expect(misplacedTags(silent)).toEqual([])
  })
})

describe('targets measured one after another', () => {
  it('are drawn from their own starts', () => {
    const [first, second] = two.targets
    const later = 400_000
    const shifted = {
      ...second!,
      requests: second!.requests.map((row) => ({
        ...row,
        intendedAt: row.intendedAt + later,
        sentAt: row.sentAt + later,
        firstTokenAt: row.firstTokenAt === undefined ? undefined : row.firstTokenAt + later,
        endedAt: row.endedAt + later,
      })),
      scrapes: second!.scrapes.map((row) => ({ ...row, at: row.at + later })),
    }
    expect(renderReport({ ...two, targets: [first!, shifted] })).toBe(page)
  })
})

describe('renderReports', () => {
  const again = makeReport({ targets: [['switchyard', 0.5]], numRequests: 300, numTenants: 9, seed: 8 })

  it('puts the targets of all files side by side, under names of their own', () => {
    const page = renderReports([
      { label: 'monday', report: two },
      { label: 'tuesday', report: again },
    ])
    const head = between(page, '<table class="headline">', '</thead>')
    for (const name of ['switchyard (monday)', 'llama-server', 'switchyard (tuesday)']) {
      expect(head).toContain(name)
    }
    expect(misplacedTags(page)).toEqual([])
  })

  it('calls a simulation simulated, which has no date', () => {
    const simulated = { ...two, createdAt: new Date(0).toISOString() }
    const page = renderReports([
      { label: 'measured', report: two },
      { label: 'simulated', report: simulated },
    ])
    expect(between(page, '<p class="sub">', '</p>')).toContain(`${two.createdAt}, simulated`)
    expect(page).not.toContain('1970')
  })

  it('warns where files do not compare, and only there', () => {
    const sources = (report: BenchReport) => [
      { label: 'a', report: two },
      { label: 'b', report },
    ]
    expect(renderReports(sources(again))).toContain('They ran different workloads.')
    expect(renderReports(sources(two))).not.toContain('These reports differ')
    const elsewhere = { ...two, machine: { ...two.machine, cpu: 'another' } }
    expect(renderReports(sources(elsewhere))).toContain('They were measured on different machines.')
    expect(renderReports(sources(elsewhere))).not.toContain('class="best"')
  })
})

describe('any report', () => {
  it('becomes a well-formed page that loads nothing and has no broken numbers', () => {
    fc.assert(
      fc.property(arbitraryReport, (report) => {
        const page = renderReport(report)
        expect(misplacedTags(page)).toEqual([])
        expect(loadsOf(page)).toEqual(['data:,'])
        for (const [, path] of page.matchAll(/ d="([^"]*)"/g)) expect(path).toMatch(/^[MLHVhlvmz\d.,-]*$/)
        for (const [, place] of page.matchAll(/ (?:x|y)="([^"]*)"/g)) expect(place).toMatch(/^-?[\d.]+$/)
      }),
      { numRuns: 80 },
    )
  })
})

const voidTags = new Set(['meta', 'link', 'input', 'img'])

/** Tags that close nothing, or are left open: a page of ours closes each in order. */
function misplacedTags(page: string): string[] {
  const body = page.replaceAll(/<(style|script)>[^]*?<\/\1>/g, '').replace('<!doctype html>', '')
  const open: string[] = []
  const wrong: string[] = []
  const tag = /<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z-]+(?:="[^"<>]*")?)*)\s*(\/?)>|[<>]/g
  for (const [text, slash, name, , selfClosed] of body.matchAll(tag)) {
    if (name === undefined) wrong.push(`stray ${text}`)
    else if (slash === '/') {
      if (open.pop() !== name) wrong.push(text)
    } else if (selfClosed !== '/' && !voidTags.has(name)) open.push(name)
  }
  return [...wrong, ...open]
}

/** Whatever a browser would follow or load by itself. */
const loadsOf = (page: string): string[] =>
  [...page.matchAll(/\s(?:src|href|srcset|action|data|poster|xlink:href)="([^"]*)"/g)].map(
    ([, address]) => address!,
  )

function between(text: string, start: string, end: string): string {
  const from = text.indexOf(start)
  expect(from).toBeGreaterThanOrEqual(0)
  return text.slice(from, text.indexOf(end, from))
}

const cellsOf = (table: string): string[] =>
  [...table.matchAll(/<td[^>]*>([^<]*)/g)].map(([, cell]) => cell!.trim())

const asWritten = (value: number): string[] => [
  formatFigure(value),
  formatCount(value),
  formatShare(value),
  value.toFixed(3),
]

function numbersIn(value: unknown): number[] {
  if (typeof value === 'number') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap(numbersIn)
}

/** The report with `text` in every place where text from outside can be. */
function withTexts(report: BenchReport, text: string): BenchReport {
  const rename = (value: unknown): unknown => {
    if (typeof value === 'string') return value === 'open' ? value : text
    if (Array.isArray(value)) return value.map(rename)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, field]) =>
        key === 'byTenant' || key === 'errors'
          ? [key, { [text]: Object.values(field as object)[0] ?? 1 }]
          : [key, rename(field)],
      ),
    )
  }
  return { ...(rename(report) as BenchReport), format: report.format }
}
