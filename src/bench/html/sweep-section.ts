/** A sweep of rates: what happens as more is asked for, and where each target stops keeping up. */
import type { SweepPoint } from '../bench-report.ts'
import { findKnee, keepsUpShare } from '../knee.ts'
import { formatFigure, formatAxisMillis, formatShare, formatShort } from './format.ts'
import { html, type Markup } from './markup.ts'
import { plot, tableOf, type Axis, type PlotSpec, type Rule } from './plot.ts'
import type { Shown } from './samples.ts'
import type { Point } from './series.ts'

/** Points of one target, from the lowest rate to the highest. */
export interface Swept {
  readonly name: string
  readonly slot: number
  readonly points: readonly SweepPoint[]
}

export function sweepSection(shown: readonly Shown[]): Markup | undefined {
  const swept = shown.map(({ name, slot, target, report }): Swept => {
    const points = (report.sweep ?? []).filter((point) => point.target === target.name)
    return { name, slot, points: points.toSorted((a, b) => a.requestsPerSecond - b.requestsPerSecond) }
  })
  if (swept.every(({ points }) => points.length === 0)) return undefined
  const hasGoals = swept.some(({ points }) => points.some(({ figures }) => figures.goodput !== undefined))
  return html`<section id="sweep">
    <h2>Sweep of rates</h2>
    <p class="about">
      ${knees(swept).join(' ')} The knee is the highest rate up to which, at every lower rate too, at least
      ${formatShare(keepsUpShare)} of what was offered was finished${hasGoals && ' and met its goals'}.
    </p>
    <div class="plots">
      ${hasGoals && plot(against(swept, { title: 'Goodput', y: rateAxis, value: (point) => point.figures.goodput?.requestsPerSecond }))}
      ${plot(against(swept, { title: 'Finished requests', y: rateAxis, value: (point) => point.figures.requestsPerSecond }))}
      ${plot(against(swept, { title: 'TTFT, p99', y: latencyAxis('TTFT p99'), value: (point) => point.figures.ttftMs?.p99 }))}
      ${plot(against(swept, { title: 'End to end, p99', y: latencyAxis('end to end p99'), value: (point) => point.figures.e2eMs?.p99 }))}
      ${plot(against(swept, { title: 'Output tokens', y: { ...rateAxis, label: 'tokens/s' }, value: (point) => point.figures.outputTokensPerSecond }))}
    </div>
    <details>
      <summary>Figures of the sweep</summary>
      ${tableOf(sweepTable(swept))}
    </details>
  </section> `
}

function knees(swept: readonly Swept[]): string[] {
  return swept
    .filter(({ points }) => points.length > 0)
    .map(({ name, points }) => {
      const knee = findKnee(points)
      if (knee === undefined) return `${name} keeps up with none of the rates.`
      const isLast = knee === points.at(-1)?.requestsPerSecond
      return `${name}: knee at ${formatFigure(knee)} requests/s${isLast ? ', the highest that was tried' : ''}.`
    })
}

const rateAxis: Axis = { label: 'requests/s', kind: 'linear', format: formatShort, include: [0] }
const latencyAxis = (label: string): Axis => ({
  label: `${label} (log)`,
  kind: 'log',
  format: formatAxisMillis,
})

interface Against {
  readonly title: string
  readonly y: Axis
  readonly value: (point: SweepPoint) => number | undefined
}

function against(swept: readonly Swept[], { title, y, value }: Against): PlotSpec {
  const series = swept.map(({ name, slot, points }) => ({
    name,
    slot,
    mark: 'line' as const,
    points: points.flatMap((point): Point[] => {
      const figure = value(point)
      return figure === undefined ? [] : [{ x: point.requestsPerSecond, y: figure }]
    }),
  }))
  const verticals = swept.flatMap(({ name, slot, points }): Rule[] => {
    const knee = findKnee(points)
    return knee === undefined ? [] : [{ value: knee, label: `knee, ${name}`, slot }]
  })
  return {
    title,
    about: 'Against the rate that was offered.',
    x: { ...rateAxis, label: 'offered requests/s' },
    y,
    series,
    verticals,
  }
}

function sweepTable(swept: readonly Swept[]) {
  return {
    head: [
      'Target',
      'Offered (requests/s)',
      'Finished (requests/s)',
      'Goodput (requests/s)',
      'Output (tokens/s)',
      'TTFT p50 (ms)',
      'TTFT p99 (ms)',
      'End to end p99 (ms)',
    ],
    rows: swept.flatMap(({ name, points }) =>
      points.map(({ requestsPerSecond, figures }) => [
        name,
        ...[
          requestsPerSecond,
          figures.requestsPerSecond,
          figures.goodput?.requestsPerSecond,
          figures.outputTokensPerSecond,
          figures.ttftMs?.p50,
          figures.ttftMs?.p99,
          figures.e2eMs?.p99,
        ].map(formatFigure),
      ]),
    ),
  }
}
