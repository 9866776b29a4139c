/**
 * Several servers under slices of real traces, at shares of what they can bear: the first comparison that anybody
 * asks for. Writes a report (JSON and HTML) for each workload and rate, and prints one table in Markdown.
 *
 *   npx tsx bench/side-by-side.ts --traces DIR --out DIR --target ours=URL --target peer=URL [--only code,conv]
 *
 * Lengths of long traces are scaled down, for the comparison is meant for small machines. Capacity is the highest rate that any of the servers finished in a closed loop of 16 users.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { BenchReport, TargetFigures } from '../src/bench/bench-report.ts'
import { renderReport } from '../src/bench/html/render-report.ts'
import { prepareWorkload } from '../src/bench/prepare-workload.ts'
import { runBench, type BenchOptions } from '../src/bench/run-bench.ts'
import { openTarget, parseTarget } from '../src/bench/targets/target.ts'
import { packageVersion } from '../src/cli/package-info.ts'
import {
  capGaps,
  fitToModel,
  scaleLengths,
  scaleToRate,
  sliceWorkload,
} from '../src/workload/transforms/index.ts'
import type { Workload } from '../src/workload/workload.ts'

const { values } = parseArgs({
  options: {
    traces: { type: 'string' },
    out: { type: 'string', default: 'results' },
    target: { type: 'string', multiple: true, default: ['http://127.0.0.1:8000'] },
    only: { type: 'string' },
    shares: { type: 'string', default: '0.5,0.8,1.2' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
  },
})
if (values.traces === undefined) throw new Error('usage: side-by-side.ts --traces DIR --target NAME=URL ...')
const traces = values.traces
const seed = Number(values.seed)
const seconds = Number(values.seconds)
const maxModelLen = 8192
const numUsers = 16

interface Case {
  readonly path: string
  readonly goals: BenchOptions['goals']
  prepare(workload: Workload): Workload
}

const cases: Readonly<Record<string, Case>> = {
  code: {
    path: 'azure-llm-2023/AzureLLMInferenceTrace_code.first30min.csv',
    goals: { ttftMs: 2000, tbtMs: 200 },
    prepare: (workload) => scaleLengths(workload, 1 / 4),
  },
  conv: {
    path: 'azure-llm-2023/AzureLLMInferenceTrace_conv.first30min.csv',
    goals: { ttftMs: 2000, tbtMs: 100 },
    prepare: (workload) => scaleLengths(workload, 1 / 4),
  },
  arena: {
    path: 'vtc-lmsys-arena/real_trace.csv',
    goals: { ttftMs: 2000, tbtMs: 100 },
    prepare: (workload) => workload,
  },
  agents: {
    path: 'weka-agentic-coding/traces.half.jsonl.gz',
    goals: { ttftMs: 2000 },
    // Contexts of 122,000 tokens on average become 1,900; answers are short as it is.
    prepare: (workload) => capGaps(scaleLengths(workload, 1 / 64, 1 / 8), 2),
  },
}

/** Prompts differ from run to run: else the second would find the first's in the cache. */
let numRuns = 0
async function measure(run: Pick<BenchOptions, 'workload' | 'loop' | 'goals'>): Promise<BenchReport> {
  numRuns += 1
  return runBench({ ...common, ...run, seed: seed + 1000 * numRuns })
}

const targets = []
for (const text of values.target) targets.push(await openTarget(parseTarget(text), {}))
const common = {
  targets,
  history: 'actual',
  numRounds: 1,
  timeoutMs: 300_000,
  signal: new AbortController().signal,
  command: ['bench/side-by-side.ts', ...process.argv.slice(2)].join(' '),
  version: packageVersion(),
} as const

const unscaled = {
  format: undefined,
  sessionsPerSecond: undefined,
  maxGapSeconds: undefined,
  scaleLengths: undefined,
  scaleToTokens: undefined,
  maxTokens: undefined,
  scaleRate: undefined,
  rate: undefined,
  spread: false,
} as const

await mkdir(values.out, { recursive: true })
process.stdout.write(header())
for (const [name, { path, goals, prepare }] of Object.entries(cases)) {
  if (values.only !== undefined && !values.only.split(',').includes(name)) continue
  const slice = name === 'agents' ? { maxPrograms: 24 } : { maxRequests: 1500 }
  const { workload: read } = await prepareWorkload({ ...unscaled, source: join(traces, path), seed, slice })
  const workload = fitToModel(prepare(read), maxModelLen, 'drop')
  const closed = await measure({
    workload: sliceWorkload(workload, { maxRequests: 64 }),
    loop: { kind: 'closed', numUsers },
    goals: {},
  })
  const capacity = Math.max(...closed.targets.map(({ figures }) => figures.requestsPerSecond))
  await keep(`${name}-closed`, closed)
  printRows(name, 'closed', closed)
  for (const share of values.shares.split(',').map(Number)) {
    const rate = capacity * share
    const count = Math.max(20, Math.round(rate * seconds))
    const due = scaleToRate(sliceWorkload(workload, { maxRequests: count }), rate)
    const report = await measure({ workload: due, loop: { kind: 'open' }, goals })
    await keep(`${name}-${share}`, report)
    printRows(name, `${share} (${rate.toFixed(2)}/s)`, report)
  }
}

async function keep(name: string, report: BenchReport): Promise<void> {
  await writeFile(join(values.out, `${name}.json`), JSON.stringify(report))
  await writeFile(join(values.out, `${name}.html`), renderReport(report))
}

function header(): string {
  const names = ['workload', 'rate', 'server', 'done', 'requests/s', 'tokens/s', 'cached', 'TTFT p50', 'p99']
  const more = ['TBT p99', 'end to end p50', 'p99', 'goals met', "Jain's"]
  const all = [...names, ...more]
  return `| ${all.join(' | ')} |\n|${all.map((_, index) => (index < 3 ? '---' : '---:')).join('|')}|\n`
}

function printRows(name: string, rate: string, report: BenchReport): void {
  for (const target of report.targets) {
    process.stdout.write(`| ${[name, rate, target.name, ...cells(target.figures)].join(' | ')} |\n`)
  }
  for (const warning of report.client.warnings) process.stdout.write(`\nclient: ${warning}\n\n`)
}

function cells(figures: TargetFigures): string[] {
  const ms = (value: number | undefined): string => value?.toFixed(0) ?? '-'
  const percent = (value: number | undefined): string =>
    value === undefined ? '-' : `${(value * 100).toFixed(0)} %`
  return [
    `${figures.numMeasured - figures.numFailed} of ${figures.numMeasured}`,
    figures.requestsPerSecond.toFixed(2),
    figures.outputTokensPerSecond.toFixed(0),
    percent(figures.cachedShare),
    ms(figures.ttftMs?.p50),
    ms(figures.ttftMs?.p99),
    ms(figures.tbtMs?.p99),
    ms(figures.e2eMs?.p50),
    ms(figures.e2eMs?.p99),
    percent(figures.goodput?.share),
    figures.fairness?.jain.toFixed(2) ?? '-',
  ]
}
