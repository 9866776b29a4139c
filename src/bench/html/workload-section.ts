/** The load itself, before anybody answered it: arrivals, lengths, what could be reused. */
import type { BenchReport, TargetReport, WorkloadShape } from '../bench-report.ts'
import type { Summary } from '../../metrics/summary.ts'
import { formatCount, formatFigure, formatSeconds, formatShare, formatShort } from './format.ts'
import { html, type Markup } from './markup.ts'
import { plot, type PlotSpec } from './plot.ts'
import type { Shown } from './samples.ts'
import { doublingBins, thinned } from './series.ts'

export function workloadSection(report: BenchReport, shown: readonly Shown[]): Markup {
  const { workload } = report
  const witness = shown.toSorted((a, b) => b.target.requests.length - a.target.requests.length)[0]
  return html`<section id="workload">
    <h2>Workload</h2>
    ${facts(workload)}
    <div class="plots">
      ${plot(arrivals(workload))}
      ${witness !== undefined && plot(lengths('Prompt lengths', workload.promptTokens, witness, 'promptTokens'))}
      ${witness !== undefined && plot(lengths('Output lengths', workload.outputTokens, witness, 'outputTokens'))}
    </div>
    ${reuse(workload, shown)}
  </section> `
}

function facts(workload: WorkloadShape): Markup {
  const { loop, durationSeconds, numRequests } = workload
  const rows: readonly (readonly [string, string])[] = [
    ['Name', workload.name],
    [
      'Loop',
      loop.kind === 'open'
        ? 'open: arrivals never wait for answers'
        : `closed, ${formatCount(loop.numUsers)} users`,
    ],
    ['Requests', formatCount(numRequests)],
    ['Length', formatSeconds(durationSeconds)],
    ['Mean rate', durationSeconds > 0 ? `${formatFigure(numRequests / durationSeconds)} requests/s` : '–'],
    ['Tenants', formatCount(workload.numTenants)],
    ['Programs', formatCount(workload.numPrograms)],
    ['Prompt tokens', summaryText(workload.promptTokens)],
    ['Output tokens', summaryText(workload.outputTokens)],
  ]
  return html`<dl class="facts">
    ${rows.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl> `
}

function summaryText(summary: Summary | undefined): string {
  if (summary === undefined) return '–'
  const { mean, p50, p99 } = summary
  return `mean ${formatFigure(mean)}, p50 ${formatCount(p50)}, p99 ${formatCount(p99)}`
}

function arrivals({ arrivals: { binSeconds, counts } }: WorkloadShape): PlotSpec {
  const points = counts.map((count, index) => ({ x: index * binSeconds, y: count / binSeconds }))
  const end = { x: counts.length * binSeconds, y: points.at(-1)?.y ?? 0 }
  return {
    title: 'Arrivals over time',
    about: `Intended arrivals per second, in bins of ${formatSeconds(binSeconds)}.`,
    x: { label: 'time (s)', kind: 'linear', format: formatShort, isTight: true, include: [0] },
    y: { label: 'requests/s', kind: 'linear', format: formatShort, include: [0] },
    series: [
      {
        name: 'arrivals',
        slot: 0,
        points: points.length === 0 ? [] : [...thinned(points), end],
        mark: 'steps',
      },
    ],
    hasLegend: false,
  }
}

function lengths(
  title: string,
  summary: Summary | undefined,
  { name, target }: Shown,
  key: 'promptTokens' | 'outputTokens',
): PlotSpec {
  const answered = target.requests.filter((row) => row.error === undefined)
  const bins = doublingBins(answered.map((row) => row[key]))
  const text = summary === undefined ? '' : ` As planned: ${summaryText(summary)}.`
  return {
    title,
    about: `Requests by tokens, in bins that double, as counted in the answers of ${name}.${text}`,
    x: { label: 'tokens (log)', kind: 'log', format: formatShort, floor: 1 },
    y: { label: 'requests', kind: 'linear', format: formatShort, include: [0] },
    // Drawn at the geometric middle of its bin.
    series: [
      {
        name: key === 'promptTokens' ? 'prompts' : 'outputs',
        slot: 0,
        mark: 'bars',
        points: bins.map(({ low, count }) => ({ x: low * Math.SQRT2, y: count })),
      },
    ],
    hasLegend: false,
    table: {
      head: ['Tokens', 'Requests'],
      rows: bins.map(({ low, count }) => [
        low === 0 ? '0' : low === 1 ? '1' : `${formatCount(low)} to ${formatCount(2 * low - 1)}`,
        formatCount(count),
      ]),
    },
  }
}

/** What an infinite cache would have held, beside what each server found. */
function reuse({ reusableShare }: WorkloadShape, shown: readonly Shown[]): Markup {
  const rows = [
    { name: 'an infinite cache', share: reusableShare as number | undefined },
    ...shown.map(({ name, target }) => ({ name, share: cachedShareOf(target) })),
  ]
  return html`<h3>Reuse: prompt tokens that a cache had seen before</h3>
    <dl class="bars">
      ${rows.map(
        ({ name, share }) =>
          html`<div>
            <dt>${name}</dt>
            <dd>
              ${
                share !== undefined &&
                html`<meter min="0" max="1" value="${Math.min(Math.max(share, 0), 1)}"></meter> `
              }${share === undefined ? 'does not say' : formatShare(share)}
            </dd>
          </div>`,
      )}
    </dl> `
}

const cachedShareOf = ({ figures }: TargetReport): number | undefined => figures.cachedShare
