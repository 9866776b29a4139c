/** What was got done over the run, and what the servers said of their queue and cache meanwhile. */
import type { ScrapeRow } from '../bench-report.ts'
import { formatCount, formatFigure, formatShare, formatShort } from './format.ts'
import { html, type Markup } from './markup.ts'
import { plot, type Axis, type PlotSpec } from './plot.ts'
import { isAnswered, type Shown } from './samples.ts'
import { binned, largestOf, spread, thinned, type Bins, type Span } from './series.ts'
import { binnedTable, timeAxis } from './timeline.ts'

export function throughputSection(shown: readonly Shown[], bins: Bins): Markup {
  return html`<section id="throughput">
    <h2>Throughput over time</h2>
    <div class="plots">
      ${plot(rate(shown, bins, { title: 'Output tokens', unit: 'tokens/s', about: 'Tokens of an answer are taken as even between its first and its last.', spans: outputSpans }))}
      ${plot(rate(shown, bins, { title: 'Finished requests', unit: 'requests/s', about: 'At their ends.', spans: endSpans }))}
      ${plot(rate(shown, bins, { title: 'Requests under way', unit: 'requests', about: 'From sending to the end, failures too: mean of each bin.', spans: busySpans }))}
    </div>
  </section> `
}

interface Rate {
  readonly title: string
  readonly unit: string
  readonly about: string
  readonly spans: (shown: Shown) => Span[]
}

function rate(shown: readonly Shown[], bins: Bins, { title, unit, about, spans }: Rate): PlotSpec {
  const series = shown.map((one) => ({
    name: one.name,
    slot: one.slot,
    mark: 'line' as const,
    points: one.target.requests.length === 0 ? [] : spread(spans(one), bins),
  }))
  return {
    title,
    about: `${about} Bins of ${formatShort(bins.width)} s.`,
    x: timeAxis(bins),
    y: fromZero(unit, formatShort),
    series,
    table: binnedTable(series, bins, formatFigure, unit),
  }
}

const fromZero = (label: string, format: Axis['format']): Axis => ({
  label,
  kind: 'linear',
  format,
  include: [0],
})

const outputSpans = ({ target }: Shown): Span[] =>
  target.requests.flatMap(({ firstTokenAt, endedAt, outputTokens }) =>
    firstTokenAt === undefined
      ? []
      : [{ from: firstTokenAt / 1000, to: endedAt / 1000, weight: outputTokens }],
  )

const endSpans = ({ target }: Shown): Span[] =>
  target.requests
    .filter(isAnswered)
    .map(({ endedAt }) => ({ from: endedAt / 1000, to: endedAt / 1000, weight: 1 }))

/** A request's seconds under way, spread over themselves: the sum in a bin, per second, is the mean number at once. */
const busySpans = ({ target }: Shown): Span[] =>
  target.requests.map(({ sentAt, endedAt }) => ({
    from: sentAt / 1000,
    to: endedAt / 1000,
    weight: Math.max(0, endedAt - sentAt) / 1000,
  }))

export function serverSection(shown: readonly Shown[], bins: Bins): Markup {
  const silent = shown.filter(({ target }) => target.scrapes.length === 0).map(({ name }) => name)
  const isAnyScraped = silent.length < shown.length
  return html`<section id="server">
    <h2>Queue and KV cache, as the servers say</h2>
    ${silent.length > 0 && html`<p class="about">No metrics came from ${silent.join(', ')}.</p>`}
    ${
      isAnyScraped &&
      html`<div class="plots">
        ${plot(scraped(shown, bins, { title: 'Running', unit: 'sequences', key: 'numRunning', format: formatCount }))}
        ${plot(scraped(shown, bins, { title: 'Waiting', unit: 'sequences', key: 'numWaiting', format: formatCount }))}
        ${plot(scraped(shown, bins, { title: 'KV cache in use', unit: 'share', key: 'kvUsage', format: formatShare }))}
      </div>`
    }
  </section> `
}

interface Scraped {
  readonly title: string
  readonly unit: string
  readonly key: Exclude<keyof ScrapeRow, 'at'>
  readonly format: (value: number | undefined) => string
}

function scraped(shown: readonly Shown[], bins: Bins, { title, unit, key, format }: Scraped): PlotSpec {
  const series = shown.map(({ name, slot, target }) => ({
    name,
    slot,
    mark: 'line' as const,
    points: target.scrapes.flatMap((row) => {
      const value = row[key]
      return value === undefined ? [] : [{ x: row.at / 1000, y: value }]
    }),
  }))
  const isThinned = series.some(({ points }) => thinned(points).length < points.length)
  return {
    title,
    about: isThinned
      ? 'As scraped; of neighbouring values only the lowest and the highest are drawn.'
      : 'As scraped.',
    x: timeAxis(bins),
    y: { ...fromZero(unit, format), ...(key === 'kvUsage' ? { include: [0, 1] } : {}) },
    series: series.map((one) => ({ ...one, points: thinned(one.points) })),
    table: binnedTable(
      series.map((one) => ({ ...one, points: binned(one.points, bins, largestOf) })),
      bins,
      format,
      'highest',
    ),
  }
}
