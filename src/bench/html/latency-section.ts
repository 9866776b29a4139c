/** How long answers took: distributions, course over the run, and TTFT against prompt length. */
import type { Goals, RequestRow } from '../bench-report.ts'
import { formatCount, formatFigure, formatAxisMillis, formatShort } from './format.ts'
import { html, type Markup } from './markup.ts'
import { plot, type Axis, type PlotSpec, type Rule } from './plot.ts'
import {
  e2eOf,
  isAnswered,
  maxGapOf,
  measured,
  pointsOf,
  tpotOf,
  ttftOf,
  valuesOf,
  type Metric,
  type Shown,
} from './samples.ts'
import { binned, cumulative, largestOf, medianOf, sampled, type Bins } from './series.ts'
import { binnedTable, timeAxis } from './timeline.ts'
import { estimatePercentile } from '../../metrics/percentile-interval.ts'

const millis = (label: string): Axis => ({ label: `${label} (log)`, kind: 'log', format: formatAxisMillis })

export function distributionSection(shown: readonly Shown[], goals: Goals): Markup {
  return html`<section id="latency">
    <h2>Latency: how many answers were at least this fast</h2>
    <p class="about">
      Measured requests that were answered in full. A line further to the left is faster; how it ends on the
      right is the tail.
    </p>
    <div class="plots four">
      ${plot(distribution(shown, 'Time to first token', 'TTFT', ttftOf, goalRule(goals.ttftMs)))}
      ${plot(distribution(shown, 'Time per output token', 'TPOT', tpotOf))}
      ${plot(distribution(shown, 'Longest gap inside an answer', 'longest gap', maxGapOf, goalRule(goals.tbtMs)))}
      ${plot(distribution(shown, 'End to end', 'end-to-end latency', e2eOf, goalRule(goals.e2eMs)))}
    </div>
  </section> `
}

const goalRule = (value: number | undefined): Rule[] =>
  value === undefined ? [] : [{ value, label: 'goal' }]

function distribution(
  shown: readonly Shown[],
  title: string,
  label: string,
  metric: Metric,
  verticals: readonly Rule[] = [],
): PlotSpec {
  const samples = shown.map(({ name, slot, target }) => ({ name, slot, values: valuesOf(target, metric) }))
  return {
    title,
    about: `Share of answers at or below, against ${label}. Of many answers some points and all of the last 20 are drawn.`,
    x: millis(label),
    y: { label: 'share of answers', kind: 'linear', format: percent, include: [0, 1] },
    series: samples.map(({ name, slot, values }) => ({
      name,
      slot,
      mark: 'line',
      points: cumulative(values),
    })),
    verticals,
    table: {
      head: ['Percentile', ...samples.map(({ name }) => `${name} (ms)`)],
      rows: [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99].map((fraction) => [
        `p${formatShort(fraction * 100)}`,
        ...samples.map(({ values }) => formatFigure(estimatePercentile(values, fraction)?.value)),
      ]),
    },
  }
}

const percent = (share: number): string => `${formatShort(share * 100)} %`

export function courseSection(shown: readonly Shown[], bins: Bins): Markup {
  const seconds =
    (at: Metric): Metric =>
    (row) =>
      (at(row) ?? Number.NaN) / 1000
  const arrival = seconds((row) => row.intendedAt)
  const end = seconds((row) => row.endedAt)
  return html`<section id="course">
    <h2>Latency over time</h2>
    <p class="about">
      All answered requests, those of warm-up and cool-down too, in bins of ${formatShort(bins.width)} s.
    </p>
    <div class="plots four">
      ${plot(course(shown, bins, { title: 'TTFT, median', label: 'TTFT', x: arrival, y: ttftOf, reduce: medianOf, when: 'by intended arrival' }))}
      ${plot(course(shown, bins, { title: 'TTFT, worst', label: 'TTFT', x: arrival, y: ttftOf, reduce: largestOf, when: 'by intended arrival' }))}
      ${plot(course(shown, bins, { title: 'TBT, median of answers’ means', label: 'time per token', x: end, y: tpotOf, reduce: medianOf, when: 'by the end of the answer' }))}
      ${plot(course(shown, bins, { title: 'TBT, worst gap', label: 'longest gap', x: end, y: maxGapOf, reduce: largestOf, when: 'by the end of the answer' }))}
    </div>
  </section> `
}

interface Course {
  readonly title: string
  readonly label: string
  readonly x: Metric
  readonly y: Metric
  readonly reduce: (ascending: readonly number[]) => number
  readonly when: string
}

function course(shown: readonly Shown[], bins: Bins, { title, label, x, y, reduce, when }: Course): PlotSpec {
  const series = shown.map(({ name, slot, target }) => ({
    name,
    slot,
    mark: 'line' as const,
    points: binned(pointsOf(target.requests, x, y), bins, reduce),
  }))
  return {
    title,
    about: `One point a bin, ${when}.`,
    x: timeAxis(bins),
    y: millis(label),
    series,
    table: binnedTable(series, bins, formatFigure, 'ms'),
  }
}

const mostDots = 2400

export function scatterSection(shown: readonly Shown[]): Markup {
  const limit = Math.floor(mostDots / Math.max(shown.length, 1))
  const series = shown.map(({ name, slot, target }) => {
    const all = pointsOf(measured(target), promptTokensOf, ttftOf)
    return { name, slot, mark: 'dots' as const, all, points: sampled(all, limit) }
  })
  const thinnedOut = series.filter(({ all, points }) => points.length < all.length)
  const note = thinnedOut.map(
    ({ name, all, points }) => `${formatCount(points.length)} of ${formatCount(all.length)} of ${name}`,
  )
  const spec: PlotSpec = {
    title: 'TTFT against prompt length',
    about:
      'One dot a measured request.' +
      (note.length === 0 ? '' : ` Drawn are every k-th request and the ten slowest: ${note.join(', ')}.`),
    x: { label: 'prompt tokens (log)', kind: 'log', format: formatShort, floor: 1 },
    y: millis('TTFT'),
    series,
    table: {
      head: ['Prompt tokens', ...shown.map(({ name }) => `${name}: median TTFT (ms), requests`)],
      rows: scatterRows(shown),
    },
  }
  return html`<section id="scatter">
    <h2>Time to first token against prompt length</h2>
    <div class="wide">${plot(spec)}</div>
  </section> `
}

const promptTokensOf: Metric = (row) => row.promptTokens

function scatterRows(shown: readonly Shown[]): string[][] {
  const rows = shown.map(({ target }) => measured(target).filter(isAnswered))
  const powers = [...new Set(rows.flat().map(doublingOf))].filter(Number.isFinite).toSorted((a, b) => a - b)
  return powers.map((power) => [
    `${formatCount(2 ** power)} to ${formatCount(2 ** (power + 1) - 1)}`,
    ...rows.map((ofTarget) => {
      const values = ofTarget.filter((row) => doublingOf(row) === power).flatMap((row) => ttftOf(row) ?? [])
      return `${formatFigure(estimatePercentile(values, 0.5)?.value)}, ${formatCount(values.length)}`
    }),
  ])
}

const doublingOf = (row: RequestRow): number => Math.floor(Math.log2(Math.max(row.promptTokens, 1)))
