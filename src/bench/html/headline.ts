/** The table that people look at first: one column a target, the best cell of a row marked where chance cannot be why. */
import type { Summary } from '../../metrics/summary.ts'
import type { Goals, TargetFigures } from '../bench-report.ts'
import { clip, formatCount, formatFigure, formatShare } from './format.ts'
import { html, type Markup } from './markup.ts'
import { slotClass, swatch, tableOf } from './plot.ts'
import { e2eOf, tpotOf, ttftOf, valuesOf, type Metric, type Shown } from './samples.ts'
import { findBest, type Cell } from './verdict.ts'

interface Row {
  readonly name: string
  readonly unit: string
  readonly cells: readonly Cell[]
  readonly format: (value: number | undefined) => string
  readonly better?: 'lower' | 'higher'
}

interface Group {
  readonly name: string
  readonly about: string
  readonly rows: readonly Row[]
}

export function headline(shown: readonly Shown[], isTrusted: boolean): Markup {
  const groups = [
    ...latencyGroups(shown),
    throughputGroup(shown),
    goodputGroup(shown),
    countGroup(shown),
    fairnessGroup(shown),
  ]
  const columns = shown.map(
    ({ name, slot, target }) =>
      html`<th scope="col" class="${slotClass(slot)}">
        ${swatch(slot)}${name} <small>${clip(target.server ?? target.model, 60)}</small>
      </th>`,
  )
  return html`<section id="figures">
    <h2>Figures</h2>
    <div class="scroll">
      <table class="headline">
        <thead>
          <tr>
            <th scope="col">Measured requests only</th>
            ${columns}
          </tr>
        </thead>
        ${groups.map((group) => groupBody(group, shown.length, isTrusted))}
      </table>
    </div>
    ${remark(shown, isTrusted)} ${goalsLine(shown)} ${errorTables(shown)}
  </section> `
}

function groupBody({ name, about, rows }: Group, numTargets: number, isTrusted: boolean): Markup | undefined {
  const known = rows.filter(({ cells }) => cells.some(({ value }) => value !== undefined))
  if (known.length === 0) return undefined
  return html`<tbody>
    <tr class="group">
      <th scope="rowgroup" colspan="${numTargets + 1}">${name} <small>${about}</small></th>
    </tr>
    ${known.map((row) => rowOf(row, isTrusted))}
  </tbody> `
}

function rowOf({ name, unit, cells, format, better }: Row, isTrusted: boolean): Markup {
  const best = better === undefined || !isTrusted ? undefined : findBest(cells, better)
  const columns = cells.map(({ value }, index) =>
    index === best
      ? html`<td class="best">${format(value)}<span class="dot" title="best of the row"> ●</span></td>`
      : html`<td>${format(value)}</td>`,
  )
  return html`<tr>
    <th scope="row">${name} <small>${unit}</small></th>
    ${columns}
  </tr> `
}

type SummaryKey = 'ttftMs' | 'tbtMs' | 'tpotMs' | 'e2eMs'

function latencyGroups(shown: readonly Shown[]): Group[] {
  return [
    latencyGroup(shown, 'ttftMs', 'Time to first token', 'TTFT, from the intended arrival', ttftOf),
    latencyGroup(shown, 'tbtMs', 'Time between tokens', 'TBT, every gap of every answer', undefined),
    latencyGroup(
      shown,
      'tpotMs',
      'Time per output token',
      'TPOT, mean after the first, one figure an answer',
      tpotOf,
    ),
    latencyGroup(shown, 'e2eMs', 'End to end', 'from the intended arrival to the last token', e2eOf),
  ]
}

function latencyGroup(
  shown: readonly Shown[],
  key: SummaryKey,
  name: string,
  about: string,
  metric: Metric | undefined,
): Group {
  const fewestFailed = Math.min(...shown.map(({ target }) => failedShare(target.figures)))
  const samples = shown.map(({ target }) => (metric === undefined ? undefined : valuesOf(target, metric)))
  const percentiles = [
    ['p50', 0.5],
    ['p90', 0.9],
    ['p99', 0.99],
  ] as const satisfies readonly (readonly [keyof Summary, number])[]
  const rows = percentiles.map(([percentile, fraction]): Row => {
    const cells = shown.map(({ target: { figures } }, index): Cell => {
      const values = samples[index]
      return {
        value: figures[key]?.[percentile],
        isEligible: failedShare(figures) <= fewestFailed + 0.01,
        ...(values === undefined ? {} : { sample: { values, fraction } }),
      }
    })
    return { name: percentile, unit: 'ms', cells, format: formatFigure, better: 'lower' }
  })
  return { name, about, rows }
}

const failedShare = ({ numFailed, numMeasured }: TargetFigures): number =>
  numFailed / Math.max(numFailed + numMeasured, 1)

function figuresRow(
  shown: readonly Shown[],
  name: string,
  unit: string,
  value: (figures: TargetFigures) => number | undefined,
  words: Pick<Row, 'better'> & { readonly format?: Row['format'] } = {},
): Row {
  const cells = shown.map(({ target }) => ({ value: value(target.figures) }))
  return { name, unit, cells, format: formatFigure, ...words }
}

function throughputGroup(shown: readonly Shown[]): Group {
  const higher = { better: 'higher' } as const
  return {
    name: 'Throughput',
    about: 'finished inside the measured window',
    rows: [
      figuresRow(shown, 'requests', 'per second', (figures) => figures.requestsPerSecond, higher),
      figuresRow(shown, 'prompt tokens', 'per second', (figures) => figures.promptTokensPerSecond, higher),
      figuresRow(shown, 'output tokens', 'per second', (figures) => figures.outputTokensPerSecond, higher),
      figuresRow(shown, 'prompt from cache', 'of tokens', (figures) => figures.cachedShare, {
        ...higher,
        format: formatShare,
      }),
    ],
  }
}

function goodputGroup(shown: readonly Shown[]): Group {
  return {
    name: 'Goodput',
    about: 'requests that met every goal',
    rows: [
      figuresRow(shown, 'requests', 'per second', (figures) => figures.goodput?.requestsPerSecond, {
        better: 'higher',
      }),
      figuresRow(shown, 'share', 'of requests', (figures) => figures.goodput?.share, {
        better: 'higher',
        format: formatShare,
      }),
    ],
  }
}

function countGroup(shown: readonly Shown[]): Group {
  const format = formatCount
  return {
    name: 'Requests',
    about: 'warm-up and cool-down are excluded from all figures',
    rows: [
      figuresRow(shown, 'measured', '', (figures) => figures.numMeasured, { format }),
      figuresRow(shown, 'excluded', '', (figures) => figures.numExcluded, { format }),
      figuresRow(shown, 'failed', '', (figures) => figures.numFailed, { format }),
      figuresRow(shown, 'window', 's', (figures) => figures.durationSeconds),
    ],
  }
}

function fairnessGroup(shown: readonly Shown[]): Group {
  return {
    name: 'Fairness',
    about: 'of service between tenants, in weighted tokens',
    rows: [
      figuresRow(shown, 'Jain’s index', '1 is even', (figures) => fairnessOf(figures)?.jain, {
        better: 'higher',
        format: (value) => (value === undefined || !Number.isFinite(value) ? '–' : value.toFixed(3)),
      }),
      figuresRow(
        shown,
        'largest service gap',
        'weighted tokens',
        (figures) => fairnessOf(figures)?.largestServiceGap,
        {
          better: 'lower',
          format: formatCount,
        },
      ),
    ],
  }
}

/** One tenant alone is treated evenly by anybody. */
const fairnessOf = ({ fairness, tenants }: TargetFigures) => (tenants.length < 2 ? undefined : fairness)

function remark(shown: readonly Shown[], isTrusted: boolean): Markup | undefined {
  if (shown.length < 2) return undefined
  if (!isTrusted) {
    return html`<p class="about">No best cells are marked: the warnings above say why.</p>`
  }
  return html`<p class="about">
    ● is best of its row by more than 5 %; for percentiles of TTFT, TPOT and end-to-end latency the 95 %
    intervals must also be apart. A target that failed 1 % more of its requests than another is not marked for
    latency. Where nothing is marked, the difference may be noise.
  </p>`
}

function goalsLine(shown: readonly Shown[]): Markup | undefined {
  const texts = new Set(shown.map(({ report }) => goalsText(report.goals)).filter((text) => text !== ''))
  if (texts.size === 0) return undefined
  return html`<p class="about">Goals: ${[...texts].join(' · elsewhere ')}.</p>`
}

export function goalsText({ ttftMs, tbtMs, e2eMs }: Goals): string {
  const goals = [
    ['TTFT', ttftMs],
    ['p99 of TBT', tbtMs],
    ['end to end', e2eMs],
  ] as const
  return goals
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name} ≤ ${formatFigure(value)} ms`]))
    .join(', ')
}

const mostErrors = 12

function errorTables(shown: readonly Shown[]): Markup {
  return html`${countTable('Failures', shown, ({ target }) => target.figures.errors)}
  ${countTable('Answers otherwise than the workload asked for', shown, ({ target }) => target.mismatches)}`
}

/** What happened how often: one row a message, one column a target. */
function countTable(
  title: string,
  shown: readonly Shown[],
  read: (one: Shown) => Readonly<Record<string, number>>,
): Markup | undefined {
  const counts = shown.map((one) => new Map(Object.entries(read(one)).filter(([, count]) => count > 0)))
  const total = (what: string): number => counts.reduce((sum, byWhat) => sum + (byWhat.get(what) ?? 0), 0)
  const all = [...new Set(counts.flatMap((byWhat) => [...byWhat.keys()]))].toSorted(
    (a, b) => total(b) - total(a),
  )
  if (all.length === 0) return undefined
  const table = tableOf({
    head: ['What', ...shown.map(({ name }) => name)],
    rows: all
      .slice(0, mostErrors)
      .map((what) => [clip(what), ...counts.map((byWhat) => formatCount(byWhat.get(what) ?? 0))]),
  })
  return html`<h3>${title}</h3>
    <div class="counts">${table}</div>
    ${all.length > mostErrors && html`<p class="about">And ${all.length - mostErrors} other messages.</p>`} `
}
