/** A report as lines for a terminal: one column a target. */
import type { Summary } from '../metrics/summary.ts'
import type { BenchReport, SweepPoint, TargetFigures, TargetReport } from './bench-report.ts'
import { findKnee } from './knee.ts'

const nameWidth = 22
const cellWidth = 17
const mostTenants = 8

export function textReport(report: BenchReport): string {
  const { targets, client, workload, sweep } = report
  const row = (name: string, cell: (figures: TargetFigures) => string): string =>
    line(
      name,
      targets.map(({ figures }) => cell(figures)),
    )
  const latency = (name: string, of: (figures: TargetFigures) => Summary | undefined): string[] =>
    (['mean', 'p50', 'p90', 'p99'] as const).map((key) =>
      row(`${name} ${key}`, (figures) => ms(of(figures)?.[key])),
    )
  return [
    `${workload.name}: ${workload.numRequests} requests of ${workload.numTenants} tenant${workload.numTenants === 1 ? '' : 's'}, ${loopText(report)}\n`,
    line(
      '',
      targets.map(({ name }) => name),
    ),
    line('server', targets.map(serverText)),
    row('requests completed', ({ numMeasured, numFailed }) => String(numMeasured - numFailed)),
    row('requests failed', ({ numFailed }) => String(numFailed)),
    row('left out (warm-up)', ({ numExcluded }) => String(numExcluded)),
    row('duration (s)', ({ durationSeconds }) => durationSeconds.toFixed(2)),
    row('requests/s', ({ requestsPerSecond }) => rate(requestsPerSecond)),
    row('output tokens/s', ({ outputTokensPerSecond }) => rate(outputTokensPerSecond)),
    row('all tokens/s', (figures) => rate(figures.promptTokensPerSecond + figures.outputTokensPerSecond)),
    ...(targets.some(({ figures }) => figures.cachedShare !== undefined)
      ? [row('cached prompt (%)', ({ cachedShare }) => percent(cachedShare))]
      : []),
    ...(targets.some(({ figures }) => figures.goodput !== undefined)
      ? [
          row('goodput (requests/s)', ({ goodput }) =>
            goodput === undefined ? '-' : rate(goodput.requestsPerSecond),
          ),
          row('goals met (%)', ({ goodput }) => percent(goodput?.share)),
        ]
      : []),
    ...(targets.some(({ figures }) => figures.fairness !== undefined)
      ? [
          row("Jain's index", ({ fairness }) => fairness?.jain.toFixed(3) ?? '-'),
          row('service gap (tokens)', ({ fairness }) => fairness?.largestServiceGap.toFixed(0) ?? '-'),
        ]
      : []),
    '\nmilliseconds\n',
    ...latency('TTFT', ({ ttftMs }) => ttftMs),
    ...latency('TBT', ({ tbtMs }) => tbtMs),
    ...latency('TPOT', ({ tpotMs }) => tpotMs),
    ...latency('end to end', ({ e2eMs }) => e2eMs),
    ...tenantLines(targets),
    ...targets.flatMap(remarks),
    ...(sweep === undefined ? [] : ['\n', ...sweepLines(sweep)]),
    `\nclient: ${clientText(client)}\n`,
    ...client.warnings.map((warning) => `WARNING: ${warning}\n`),
  ].join('')
}

function line(name: string, cells: readonly string[]): string {
  return `${name.padEnd(nameWidth)}${cells.map((cell) => ` ${cell.slice(0, cellWidth)}`.padStart(cellWidth + 1)).join('')}\n`
}

function loopText({ workload, isInterrupted }: BenchReport): string {
  const { loop, durationSeconds } = workload
  const text =
    loop.kind === 'open'
      ? `open loop over ${durationSeconds.toFixed(0)} s`
      : `closed loop of ${loop.numUsers} users`
  return isInterrupted ? `${text}, interrupted` : text
}

function serverText({ server }: TargetReport): string {
  return server ?? 'unknown'
}

function remarks({ name, figures, mismatches }: TargetReport): string[] {
  const errors = Object.entries(figures.errors).map(([message, times]) => `${name}: ${times} x ${message}\n`)
  const wrong = Object.entries(mismatches).map(
    ([kind, times]) => `${name}: ${times} requests with other ${kind} than asked for\n`,
  )
  return [...errors, ...wrong]
}

/** TTFT of each tenant, where there are several and not too many to read. */
function tenantLines(targets: readonly TargetReport[]): string[] {
  const names = [...new Set(targets.flatMap(({ figures }) => figures.tenants.map(({ tenant }) => tenant)))]
  if (names.length < 2 || names.length > mostTenants) return []
  const p99 = ({ figures }: TargetReport, name: string): number | undefined =>
    figures.tenants.find(({ tenant }) => tenant === name)?.ttftMs?.p99
  return [
    '\nTTFT p99 of each tenant\n',
    ...names.map((name) =>
      line(
        name.slice(0, nameWidth - 1),
        targets.map((target) => ms(p99(target, name))),
      ),
    ),
  ]
}

function kneeLine(target: string, sweep: readonly SweepPoint[]): string {
  const points = sweep
    .filter((point) => point.target === target)
    .toSorted((a, b) => a.requestsPerSecond - b.requestsPerSecond)
  const knee = findKnee(points)
  if (knee === undefined) return `${target} keeps up with none of the rates\n`
  const isLast = knee === points.at(-1)?.requestsPerSecond
  return `${target}: knee at ${rate(knee)} requests/s${isLast ? ', the highest that was tried' : ''}\n`
}

function sweepLines(sweep: readonly SweepPoint[]): string[] {
  const heads = ['requests/s', 'finished/s', 'TTFT p99 ms', 'goals met %']
  return [
    line('sweep', heads),
    ...sweep.map(({ target, requestsPerSecond, figures }) =>
      line(target, [
        rate(requestsPerSecond),
        rate(figures.requestsPerSecond),
        ms(figures.ttftMs?.p99),
        percent(figures.goodput?.share),
      ]),
    ),
    ...[...new Set(sweep.map(({ target }) => target))].map((target) => kneeLine(target, sweep)),
  ]
}

function clientText({ cpuShare, overheadMicrosPerEvent, sendLagMs }: BenchReport['client']): string {
  const parts = [`${(cpuShare * 100).toFixed(0)} % of a core`]
  if (overheadMicrosPerEvent !== undefined)
    parts.push(`${overheadMicrosPerEvent.toFixed(0)} us a token event`)
  if (sendLagMs !== undefined) parts.push(`sends ${sendLagMs.p99.toFixed(1)} ms late at p99`)
  return parts.join(', ')
}

function rate(value: number): string {
  return value.toFixed(value < 100 ? 2 : 1)
}

function ms(value: number | undefined): string {
  return value === undefined ? '-' : value.toFixed(2)
}

function percent(share: number | undefined): string {
  return share === undefined ? '-' : (share * 100).toFixed(1)
}
