/** Who got how much: service by tenant over time, and each tenant's tails. */
import type { TenantFigures } from '../bench-report.ts'
import { clip, formatCount, formatFigure, formatShort } from './format.ts'
import { html, type Markup } from './markup.ts'
import { plot, slotClass, type PlotSpec, type Series } from './plot.ts'
import type { Shown } from './samples.ts'
import { thinned } from './series.ts'

const mostLines = 64
const mostRows = 64

export function tenantSection(shown: readonly Shown[]): Markup | undefined {
  const tenants = tenantsByService(shown)
  if (tenants.length < 2) return undefined
  const withService = shown.filter(({ target }) => target.figures.fairness !== undefined)
  return html`<section id="tenants">
    <h2>Service by tenant</h2>
    ${
      withService.length > 0 &&
      html`<p class="about">
          Weighted tokens that each tenant had got, one line a tenant. Lines that part are tenants who get
          more than others, or ask for more.
        </p>
        <div class="plots">${withService.map((one) => plot(service(one)))}</div>`
    }
    ${tenantTable(shown, tenants)}
  </section> `
}

function service({ name, slot, target }: Shown): PlotSpec {
  const { jain, largestServiceGap, service: over } = target.figures.fairness!
  const lines = Object.entries(over.byTenant).toSorted(([, a], [, b]) => (b.at(-1) ?? 0) - (a.at(-1) ?? 0))
  const drawn = lines.length <= mostLines ? lines : everyFew(lines, mostLines)
  const isLabelled = (index: number): boolean => index < 3 || index >= drawn.length - 2
  const series = drawn.map(([tenant, sums], index): Series => ({
    name: clip(tenant, 40),
    slot,
    mark: 'faint',
    points: thinned([
      { x: 0, y: 0 },
      ...sums.map((sum, bin) => ({ x: (bin + 1) * over.binSeconds, y: sum })),
    ]),
    ...(isLabelled(index) ? { endLabel: clip(tenant, 22) } : {}),
  }))
  const some =
    drawn.length < lines.length ? ` Drawn are ${drawn.length} of ${formatCount(lines.length)} tenants.` : ''
  return {
    title: name,
    about: `Jain’s index ${jain.toFixed(3)}, largest gap ${formatCount(largestServiceGap)} weighted tokens.${some}`,
    x: { label: 'time from the start (s)', kind: 'linear', format: formatShort, isTight: true, include: [0] },
    y: { label: 'weighted tokens', kind: 'linear', format: formatShort, include: [0] },
    series,
    hasLegend: false,
  }
}

/** About `limit` of a list, evenly, with its first and last. */
function everyFew<Item>(items: readonly Item[], limit: number): Item[] {
  const step = (items.length - 1) / (limit - 1)
  return Array.from({ length: limit }, (_, index) => items[Math.round(index * step)]!)
}

function tenantsByService(shown: readonly Shown[]): string[] {
  const tokens = new Map<string, number>()
  for (const { target } of shown) {
    for (const { tenant, promptTokens, outputTokens } of target.figures.tenants) {
      tokens.set(tenant, (tokens.get(tenant) ?? 0) + promptTokens + outputTokens)
    }
  }
  return [...tokens].toSorted(([, a], [, b]) => b - a).map(([tenant]) => tenant)
}

const columns: readonly (readonly [string, (figures: TenantFigures) => string])[] = [
  ['measured', (figures) => formatCount(figures.numMeasured)],
  ['failed', (figures) => formatCount(figures.numFailed)],
  ['tokens in', (figures) => formatCount(figures.promptTokens)],
  ['tokens out', (figures) => formatCount(figures.outputTokens)],
  ['TTFT p50', (figures) => formatFigure(figures.ttftMs?.p50)],
  ['TTFT p99', (figures) => formatFigure(figures.ttftMs?.p99)],
  ['e2e p99', (figures) => formatFigure(figures.e2eMs?.p99)],
]

function tenantTable(shown: readonly Shown[], tenants: readonly string[]): Markup {
  const figuresOf = shown.map(({ target }) => new Map(target.figures.tenants.map((one) => [one.tenant, one])))
  const heads = shown.map(
    ({ name, slot }) =>
      html`<th scope="colgroup" colspan="${columns.length}" class="${slotClass(slot)} of">${name}</th>`,
  )
  const rows = tenants.slice(0, mostRows).map((tenant) => {
    const cells = figuresOf.map((byTenant) => {
      const figures = byTenant.get(tenant)
      return columns.map(
        ([, read], index) =>
          html`<td class="${index === 0 ? 'of' : ''}">${figures === undefined ? '–' : read(figures)}</td>`,
      )
    })
    return html`<tr>
      <th scope="row">${clip(tenant, 60)}</th>
      ${cells}
    </tr> `
  })
  const numHidden = tenants.length - rows.length
  return html`<details ${tenants.length <= 12 && 'open'}>
    <summary>Figures of ${formatCount(tenants.length)} tenants</summary>
    <div class="scroll">
      <table class="tenants">
        <thead>
          <tr>
            <th></th>
            ${heads}
          </tr>
          <tr>
            <th scope="col">Tenant</th>
            ${shown.map(() => columns.map(([name], index) => html`<th scope="col" class="${index === 0 ? 'of' : ''}">${name}</th>`))}
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>
    <p class="about">
      Most tokens first; latencies in
      ms.${numHidden > 0 && ` ${formatCount(numHidden)} more tenants are in the JSON file.`}
    </p>
  </details> `
}
