/**
 * One plot as a figure: SVG of our own with axes, lines or dots, a legend, and its figures as a table for those who
 * cannot see it. It knows nothing of benches. The page's script reads the `data-` attributes to show values.
 */
import { html, raw, type Fragment, type Markup } from './markup.ts'
import { linearScale, logScale, type Scale } from './scale.ts'
import type { Point } from './series.ts'

export interface Series {
  readonly name: string
  /** Which colour, dash and dot; the same target has the same everywhere. */
  readonly slot: number
  readonly points: readonly Point[]
  readonly mark: 'line' | 'steps' | 'dots' | 'bars' | 'faint'
  /** Written at its end, where a legend would be too long. */
  readonly endLabel?: string
}

export interface Axis {
  readonly label: string
  readonly kind: 'linear' | 'log'
  readonly format: (value: number) => string
  /** Ends where the values end, not at the next round figure. */
  readonly isTight?: boolean
  /** Values that must be on it. */
  readonly include?: readonly number[]
  /** On a log axis, what is less is drawn here. */
  readonly floor?: number
}

export interface Rule {
  readonly value: number
  readonly label: string
  /** Of one series; undefined for all. */
  readonly slot?: number
}

export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

export interface PlotSpec {
  readonly title: string
  /** What is drawn and how it was counted, in a sentence or two. */
  readonly about: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
  readonly verticals?: readonly Rule[]
  readonly horizontals?: readonly Rule[]
  readonly hasLegend?: boolean
  readonly table?: Table
}

export const numSlots = 8
const [width, height] = [440, 270]
const box = { left: 64, right: 414, top: 12, bottom: 224 } as const
const biggest = 1e15
/** What is nearer to zero is zero to a reader. */
const smallest = 1e-12

export function plot(spec: PlotSpec): Markup {
  const series = spec.series.map((one) => ({ ...one, points: drawable(one.points, spec) }))
  const isEmpty = series.every(({ points }) => points.length === 0)
  const shown = spec.hasLegend === false ? [] : series.filter(({ mark }) => mark !== 'faint')
  return html`<figure>
    <figcaption><b>${spec.title}</b> ${legend(shown)}</figcaption>
    ${isEmpty ? html`<p class="none">Nothing to draw.</p>` : drawing(spec, series)}
    <p class="about">${spec.about}</p>
    ${spec.table !== undefined && spec.table.rows.length > 0 && valuesOf(spec.table)}
  </figure> `
}

/** The class that gives a series its colour and lets its target be hidden. */
export const slotClass = (slot: number): string => `s${slot % numSlots}`

/** A short line or dot as it stands in the plots. */
export function swatch(slot: number, mark: Series['mark'] = 'line'): Markup {
  const path = mark === 'dots' ? `M12,5${dotShape(slot)}` : 'M1,5h22'
  return html`<svg class="swatch ${slotClass(slot)}" viewBox="0 0 24 10" aria-hidden="true">
    <path class="${mark === 'faint' ? 'line' : mark} ${slotClass(slot)}" d="${path}" />
  </svg> `
}

export function tableOf(table: Table): Markup {
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          ${table.head.map((cell) => html`<th scope="col">${cell}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${table.rows.map(
          ([first = '', ...rest]) =>
            html`<tr>
              <th scope="row">${first}</th>
              ${rest.map((cell) => html`<td>${cell}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div> `
}

const valuesOf = (table: Table): Markup =>
  html`<details class="values">
    <summary>Values</summary>
    ${tableOf(table)}
  </details>`

function legend(series: readonly Series[]): Fragment {
  if (series.length < 2) return undefined
  const keys = series.map(
    ({ name, slot, mark }) => html`<span class="key ${slotClass(slot)}">${swatch(slot, mark)}${name}</span> `,
  )
  return html`<span class="legend">${keys}</span>`
}

function drawing(spec: PlotSpec, series: readonly Series[]): Markup {
  const x = scaleFor(
    spec.x,
    series.flatMap(({ points }) => points.map((point) => point.x)),
    'x',
  )
  const y = scaleFor(
    spec.y,
    series.flatMap(({ points }) => points.map((point) => point.y)),
    'y',
  )
  return html`<svg
    class="plot"
    viewBox="0 0 ${width} ${height}"
    role="img"
    aria-label="${spec.title}. ${spec.about}"
    data-x="${axisData(x)}"
    data-y="${axisData(y)}"
    data-names="${spec.x.label}|${spec.y.label}"
    data-box="${box.left} ${box.right} ${box.top} ${box.bottom}"
  >
    ${axes(spec, x, y)} ${(spec.verticals ?? []).map((rule) => ruleLine(rule, 'vertical', x))}
    ${(spec.horizontals ?? []).map((rule) => ruleLine(rule, 'horizontal', y))}
    ${series.map((one) => mark(one, x, y))} ${endLabels(series, x, y)}
  </svg> `
}

function drawable(points: readonly Point[], spec: PlotSpec): readonly Point[] {
  const onAxis = (value: number, axis: Axis): number =>
    axis.kind === 'log' ? Math.max(value, axis.floor ?? 0.001) : Math.abs(value) < smallest ? 0 : value
  const isFigure = (value: number): boolean => Math.abs(value) < biggest
  return points
    .filter(({ x, y }) => isFigure(x) && isFigure(y))
    .map(({ x, y }) => ({ x: onAxis(x, spec.x), y: onAxis(y, spec.y) }))
}

function scaleFor(axis: Axis, values: readonly number[], side: 'x' | 'y'): Scale {
  const floor = axis.kind === 'log' ? (axis.floor ?? 0.001) : -Infinity
  const included = (axis.include ?? []).filter(
    (value) => Math.abs(value) < biggest && (value === 0 || Math.abs(value) >= smallest) && value >= floor,
  )
  // Not Math.min(...values): a spread of thousands of points is a call with thousands of arguments.
  const [low, high] = [...values, ...included].reduce(
    ([min, max], value) => [Math.min(min, value), Math.max(max, value)],
    [Infinity, -Infinity],
  )
  const range: readonly [number, number] = side === 'x' ? [box.left, box.right] : [box.bottom, box.top]
  const options = { range, numTicks: side === 'x' ? 6 : 5 }
  return axis.kind === 'log'
    ? logScale(low, high, options)
    : linearScale(low, high, { ...options, isTight: axis.isTight ?? false })
}

const axisData = (scale: Scale): string => `${scale.kind} ${scale.low} ${scale.high}`

function axes(spec: PlotSpec, x: Scale, y: Scale): Markup {
  const rows = y.ticks.map((tick) => {
    const at = place(y.at(tick))
    return html`<path class="grid" d="M${box.left},${at}H${box.right}" /><text
        class="tick end"
        x="${box.left - 6}"
        y="${place(y.at(tick) + 4)}"
        >${spec.y.format(tick)}</text
      >`
  })
  const columns = x.ticks.map((tick) => {
    const at = place(x.at(tick))
    return html`<path class="grid" d="M${at},${box.top}V${box.bottom}" /><text
        class="tick middle"
        x="${at}"
        y="${box.bottom + 18}"
        >${spec.x.format(tick)}</text
      >`
  })
  const name = html`<text class="axis middle" x="${(box.left + box.right) / 2}" y="${height - 8}"
    >${spec.x.label}</text
  >`
  const base = html`<path class="base" d="M${box.left},${box.top}V${box.bottom}H${box.right}" />`
  return html`${rows}${columns}${base}${name}`
}

function ruleLine({ value, label, slot }: Rule, direction: 'vertical' | 'horizontal', scale: Scale): Markup {
  if (!(value >= scale.low && value <= scale.high)) return html``
  const at = place(scale.at(value))
  const owner = slot === undefined ? '' : slotClass(slot)
  if (direction === 'horizontal') {
    return html`<g class="rule ${owner}"
      ><path d="M${box.left},${at}H${box.right}" /><text
        class="tick end"
        x="${box.right - 2}"
        y="${place(scale.at(value) - 4)}"
        >${label}</text
      ></g
    >`
  }
  // The text stands left of the line where there is no room on its right.
  const isLate = scale.at(value) > box.right - 100
  const line = 14 * (slot ?? 0)
  return html`<g class="rule ${owner}"
    ><path d="M${at},${box.top}V${box.bottom}" /><text
      class="tick ${isLate ? 'end' : 'start'}"
      x="${place(scale.at(value) + (isLate ? -4 : 4))}"
      y="${box.top + 10 + line}"
      >${label}</text
    ></g
  >`
}

function mark({ points, slot, name, mark: kind }: Series, x: Scale, y: Scale): Markup {
  const places = points.map((point) => ({ x: place(x.at(point.x)), y: place(y.at(point.y)) }))
  return html`<path
    class="${kind} ${slotClass(slot)}"
    data-name="${name}"
    d="${raw(paths[kind](places, slot))}"
  />`
}

interface Place {
  readonly x: string
  readonly y: string
}

/** Only `M` and `L` have absolute places: the script finds the points by them. */
const paths: Readonly<Record<Series['mark'], (places: readonly Place[], slot: number) => string>> = {
  line: linePath,
  faint: linePath,
  steps: (places) =>
    places.map(({ x, y }, index) => (index === 0 ? `M${x},${y}` : `H${x}L${x},${y}`)).join(''),
  dots: (places, slot) => places.map(({ x, y }) => `M${x},${y}${dotShape(slot)}`).join(''),
  bars: (places) => places.map(({ x, y }) => `M${x},${y}V${box.bottom}`).join(''),
}

function linePath(places: readonly Place[]): string {
  const [only] = places
  if (places.length === 1 && only !== undefined) return `M${only.x},${only.y}h0`
  return places.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x},${y}`).join('')
}

/** Different without colour too: dot, cross, diamond, plus. */
const dotShapes = [
  'h0',
  'm-2,-2l4,4m0,-4l-4,4',
  'm-2.5,0l2.5,-2.5l2.5,2.5l-2.5,2.5z',
  'm-2.5,0h5m-2.5,-2.5v5',
] as const
const dotShape = (slot: number): string => dotShapes[slot % dotShapes.length]!

/** Names at the ends of lines, moved apart where they would cover each other. */
function endLabels(series: readonly Series[], x: Scale, y: Scale): Markup[] {
  const wanted = series
    .flatMap(({ endLabel, points, slot }) => {
      const last = points.at(-1)
      return endLabel === undefined || last === undefined ? [] : [{ endLabel, slot, last, top: y.at(last.y) }]
    })
    .toSorted((a, b) => b.top - a.top)
  let ceiling = box.bottom
  return wanted.map(({ endLabel, last, top }) => {
    const baseline = Math.min(top - 3, ceiling)
    ceiling = baseline - 12
    return html`<text class="tick end name" x="${place(x.at(last.x) - 3)}" y="${place(baseline)}"
      >${endLabel}</text
    >`
  })
}

const place = (value: number): string => String(Math.round(value * 10) / 10)
