/** Where the figures came from: machine, versions, client, command, seed, and how the workload was made. */
import type { BenchReport, ClientReport } from '../bench-report.ts'
import type { Summary } from '../../metrics/summary.ts'
import { clip, formatBytes, formatCount, formatCreated, formatFigure, formatShare } from './format.ts'
import { html, type Markup } from './markup.ts'

/** A report and the file it came from. */
export interface Source {
  readonly label: string | undefined
  readonly report: BenchReport
}

export function originSection(sources: readonly Source[]): Markup {
  return html`<section id="origin">
    <h2>Where these figures come from</h2>
    ${sources.map(originOf)}
  </section> `
}

function originOf({ label, report }: Source): Markup {
  const { machine, client, workload, targets, createdAt, command } = report
  const rows: readonly (readonly [string, string])[] = [
    ['Created', formatCreated(createdAt)],
    ['Command', clip(command, 2000)],
    ['Seed', String(workload.seed)],
    [
      'Machine',
      `${machine.cpu}, ${formatCount(machine.numCores)} cores, ${formatBytes(machine.memoryBytes)}`,
    ],
    ['Platform', `${machine.platform}, Node.js ${machine.nodeVersion}`],
    ['Switchyard', machine.switchyardVersion],
    ...targets.map(
      ({ name, url, model, server }) =>
        [`Target ${name}`, `${url}, model ${model}, ${server ?? 'does not name its version'}`] as const,
    ),
    ['Client, send lag', lagText(client.sendLagMs)],
    ['Client, event loop lag', lagText(client.eventLoopLagMs)],
    ['Client, processor', `${formatShare(client.cpuShare)} of a core`],
    ['Client, overhead', overheadText(client)],
  ]
  return html`${label !== undefined && html`<h3>${label}</h3>`}
    <dl class="origin">
      ${rows.map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>
    <h3>How the workload was made</h3>
    ${
      workload.provenance.length === 0
        ? html`<p class="none">The report does not say.</p>`
        : html`<ol class="steps">
            ${workload.provenance.map(
              ({ action, parameters }) =>
                html`<li>
                  <b>${action}</b> ${Object.entries(parameters).map(
                    ([name, value]) =>
                      html`<span class="parameter">${name} <code>${clip(String(value))}</code></span> `,
                  )}
                </li>`,
            )}
          </ol>`
    } `
}

function lagText(summary: Summary | undefined): string {
  if (summary === undefined) return 'not measured'
  return `p50 ${formatFigure(summary.p50)} ms, p99 ${formatFigure(summary.p99)} ms, max ${formatFigure(summary.max)} ms`
}

const overheadText = ({ overheadMicrosPerEvent: micros }: ClientReport): string =>
  micros === undefined
    ? 'not measured'
    : `${formatFigure(micros)} µs an event, against a server that does nothing`
