/**
 * The report as one HTML file that needs nothing else: no network, no fonts, no framework. The sections are in files of
 * their own; `plot.ts` draws, `markup.ts` escapes whatever comes from data.
 */
import type { BenchReport, TargetReport } from '../bench-report.ts'
import { clip, formatCount, formatCreated } from './format.ts'
import { goalsText, headline } from './headline.ts'
import { courseSection, distributionSection, scatterSection } from './latency-section.ts'
import { html, raw, type Markup } from './markup.ts'
import { originSection, type Source } from './origin-section.ts'
import { numSlots, slotClass, swatch } from './plot.ts'
import { firstArrival, spanSeconds, startedLater, type Shown } from './samples.ts'
import { script } from './script.ts'
import { binsOver } from './series.ts'
import { style } from './style.ts'
import { sweepSection } from './sweep-section.ts'
import { tenantSection } from './tenant-section.ts'
import { serverSection, throughputSection } from './throughput-section.ts'
import { workloadSection } from './workload-section.ts'

/** The page of one report. Pure: the same report gives the same page, byte for byte. */
export const renderReport = (report: BenchReport): string => renderReports([{ label: undefined, report }])

/** Reports laid over each other: their targets stand side by side. */
export function renderReports(sources: readonly Source[]): string {
  const shown = showTargets(sources)
  const warnings = warningsOf(sources, shown)
  const isTrusted =
    sources.every(({ report }) => report.client.warnings.length === 0) && differences(sources).length === 0
  const bins = binsOver(spanSeconds(shown))
  const first = sources[0]?.report
  const title = `Bench: ${[...new Set(sources.map(({ report }) => clip(report.workload.name, 80)))].join(', ')}`
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <link rel="icon" href="data:," />
        <title>${title}</title>
        <style>
          ${raw(style)}
        </style>
      </head>
      <body>
        <header class="page">
          <h1>${title}</h1>
          <p class="sub">${subtitle(sources, shown)}</p>
          ${warnings}
        </header>
        ${shown.length > 0 && targetBar(shown)}
        <main>
          ${shown.length > 0 && headline(shown, isTrusted)}
          ${sources.filter(isNewWorkload).map(({ report }) =>
            workloadSection(
              report,
              shown.filter((one) => describesSame(one.report, report)),
            ),
          )}
          ${
            shown.length > 0 &&
            html`${distributionSection(shown, commonGoals(sources))} ${courseSection(shown, bins)}
            ${throughputSection(shown, bins)} ${serverSection(shown, bins)} ${tenantSection(shown)}
            ${scatterSection(shown)} ${sweepSection(shown)}`
          }
          ${originSection(sources)}
          <footer>
            Drawn by Switchyard ${first?.machine.switchyardVersion}. Everything on this page is in the JSON
            report too.
          </footer>
        </main>
        <script>
          ${raw(script)}
        </script>
      </body>
    </html> `
  return page.markup.replaceAll(/\n\s+/g, '\n')
}

function showTargets(sources: readonly Source[]): Shown[] {
  const taken = new Set<string>()
  const targets = sources.flatMap(({ label, report }) =>
    report.targets.map((target) => ({ label, report, target })),
  )
  return targets.map(({ label, report, target }, slot) => {
    const isTwice = targets.filter((other) => other.target.name === target.name).length > 1
    const wanted = clip(isTwice && label !== undefined ? `${target.name} (${label})` : target.name, 60)
    const name = freeName(wanted, taken)
    taken.add(name)
    return { name, slot, target: alignedWith(report, target), report }
  })
}

/** All targets of a report get the same requests: where one's first came later, the whole target was measured later. */
function alignedWith({ targets }: BenchReport, target: TargetReport): TargetReport {
  const earliest = targets.reduce((first, other) => Math.min(first, firstArrival(other)), Infinity)
  const later = firstArrival(target) - earliest
  return Number.isFinite(later) ? startedLater(target, later) : target
}

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted)) return wanted
  for (let number = 2; ; number++) if (!taken.has(`${wanted} ${number}`)) return `${wanted} ${number}`
}

function subtitle(sources: readonly Source[], shown: readonly Shown[]): string {
  const dates = [...new Set(sources.map(({ report }) => formatCreated(report.createdAt)))]
  const models = [...new Set(shown.map(({ target }) => target.model))]
  const parts = [
    `${formatCount(shown.length)} ${shown.length === 1 ? 'target' : 'targets'}`,
    ...(models.length === 0 ? [] : [`model ${clip(models.join(', '), 120)}`]),
    dates.join(', '),
  ]
  return parts.join(' · ')
}

/** What must be known before any figure is read. */
function warningsOf(sources: readonly Source[], shown: readonly Shown[]): Markup[] {
  const boxes: Markup[] = []
  const box = (title: string, lines: readonly string[]): void => {
    if (lines.length === 0) return
    boxes.push(
      html`<div class="alarm" role="note">
        <b>${title}</b>
        <ul>
          ${lines.map((line) => html`<li>${clip(line, 600)}</li>`)}
        </ul>
      </div> `,
    )
  }
  const of = (label: string | undefined): string =>
    label === undefined || sources.length < 2 ? '' : `${label}: `
  box(
    'Do not trust these figures: the client itself was in the way',
    sources.flatMap(({ label, report }) => report.client.warnings.map((line) => of(label) + line)),
  )
  box(
    'Ended by hand',
    sources
      .filter(({ report }) => report.isInterrupted)
      .map(({ label }) => `${of(label)}what follows covers what was done until then.`),
  )
  box('These reports differ, so their columns do not compare servers alone', differences(sources))
  box(
    'Targets without figures',
    shown
      .filter(hasNoFigures)
      .map(
        ({ name, target }) =>
          `${name}: ${target.requests.length === 0 ? 'no request was sent.' : 'no request was both answered and measured.'}`,
      ),
  )
  box(
    'Failures',
    shown
      .filter(({ target }) => target.figures.numFailed > 0)
      .map(({ name, target: { figures } }) => `${name}: ${formatCount(figures.numFailed)} requests failed.`),
  )
  box(
    'Answers that are not what the workload asked for',
    shown
      .filter(({ target }) => Object.values(target.mismatches).some((count) => count > 0))
      .map(({ name }) => `${name}: see the table under the figures.`),
  )
  if (shown.length === 0) box('Empty', ['No target was measured.'])
  if (shown.length > numSlots) box('Many targets', [`Colours repeat after ${numSlots}.`])
  return boxes
}

const hasNoFigures = ({ target }: Shown): boolean => target.figures.e2eMs === undefined

function differences(sources: readonly Source[]): string[] {
  const count = (read: (report: BenchReport) => unknown): number =>
    new Set(sources.map(({ report }) => JSON.stringify(read(report)))).size
  const checks: readonly (readonly [string, (report: BenchReport) => unknown])[] = [
    [
      'They ran different workloads.',
      ({ workload }) => [workload.seed, workload.numRequests, workload.arrivals, workload.provenance],
    ],
    ['They ran different loops.', ({ workload }) => workload.loop],
    [
      'They were measured on different machines.',
      ({ machine }) => [machine.cpu, machine.numCores, machine.memoryBytes],
    ],
    ['They have different goals.', ({ goals }) => goalsText(goals)],
  ]
  return checks.filter(([, read]) => count(read) > 1).map(([line]) => line)
}

const describesSame = (a: BenchReport, b: BenchReport): boolean =>
  JSON.stringify(a.workload) === JSON.stringify(b.workload)

const isNewWorkload = ({ report }: Source, index: number, sources: readonly Source[]): boolean =>
  sources.findIndex((other) => describesSame(other.report, report)) === index

/** Drawn as lines only where all reports have the same. */
function commonGoals(sources: readonly Source[]): BenchReport['goals'] {
  const [first, ...rest] = sources.map(({ report }) => report.goals)
  return first !== undefined && rest.every((goals) => goalsText(goals) === goalsText(first)) ? first : {}
}

/** Shows and hides targets in all plots. One box serves all targets of a colour. */
function targetBar(shown: readonly Shown[]): Markup {
  const boxes = shown.slice(0, numSlots).map(({ slot }) => {
    const names = shown.filter((other) => other.slot % numSlots === slot).map(({ name }) => name)
    return html`<label class="${slotClass(slot)}"
      ><input type="checkbox" id="show${slot}" checked />${swatch(slot)}${names.join(', ')}</label
    > `
  })
  return html`<nav class="targets" aria-label="Targets in the plots"><div>${boxes}</div></nav> `
}
