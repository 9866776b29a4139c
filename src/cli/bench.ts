/** `switchyard bench`: a workload on one or several servers, and what its users would have seen. */
import type { BenchReport } from '../bench/bench-report.ts'
import { renderReport } from '../bench/html/render-report.ts'
import { prepareWorkload } from '../bench/prepare-workload.ts'
import type { Loop } from '../bench/replay.ts'
import { runBench, runSweep, type BenchOptions } from '../bench/run-bench.ts'
import { openTarget, parseTarget, tryOpenTarget, type Target } from '../bench/targets/target.ts'
import { textReport } from '../bench/text-report.ts'
import { workloadShape } from '../bench/workload-shape.ts'
import type { CommandLine } from '../config/command-line.ts'
import { resolveSettings } from '../config/resolve.ts'
import { ServingError } from '../core/errors.ts'
import { scaleToRate } from '../workload/transforms/index.ts'
import type { Workload } from '../workload/workload.ts'
import { liveView } from './bench-progress.ts'
import { benchSettings, type BenchSettings } from './bench-settings.ts'
import { commandText } from './command-text.ts'
import type { Command } from './command.ts'
import { checkOutputs, writeOutput } from './output-file.ts'
import { packageVersion } from './package-info.ts'

/** Settings about servers, about being a client of theirs, and about reports. */
type OtherSettings =
  | 'target'
  | 'url'
  | 'model'
  | 'apiKey'
  | 'timeout'
  | 'rounds'
  | 'sweep'
  | 'dryRun'
  | 'force'
  | 'json'
  | 'html'
  | 'goalTtftMs'
  | 'goalTbtMs'
  | 'goalE2eMs'

/** Exit status of a run whose figures nobody should believe. */
const clientWasSlow = 3
const interrupted = 130

export const bench: Command = {
  usage: '[options]',
  about:
    'Measures time to first token (TTFT), time between tokens (TBT), mean time per output token (TPOT),\n' +
    'end-to-end latency, throughput, goodput and fairness, of one server or of several side by side.\n' +
    'Latencies count from when a request was due, however late it was sent. See docs/bench.md.',
  options: benchSettings,
  notes:
    'Examples:\n' +
    '  switchyard bench --concurrency 16 --prompt-tokens 512\n' +
    '  switchyard bench -w conv.csv --to-seconds 300 --rate 0.5 --html report.html\n' +
    '  switchyard bench -w agents:programs=20 --target ours=http://127.0.0.1:8000 --target peer=http://127.0.0.1:8080',
  run,
}

async function run(line: CommandLine): Promise<number> {
  const values = resolveSettings(benchSettings, line).values
  refuseContradictions(line, values)
  const { workload, remarks } = await prepareWorkload(workloadOptions(values))
  for (const remark of remarks) process.stderr.write(`${remark}\n`)
  const loop = loopOf(values)
  if (values.dryRun) {
    process.stdout.write(`${JSON.stringify(workloadShape(workload, { seed: values.seed, loop }), null, 2)}\n`)
    return 0
  }
  await checkOutputs([values.json, values.html])
  const abort = new AbortController()
  process.once('SIGINT', () => abort.abort())
  const report = await measure(values, { workload, loop, signal: abort.signal })
  return conclude(values, report)
}

function refuseContradictions({ positionals, flags }: CommandLine, values: BenchSettings): void {
  const refuse = (message: string): never => {
    throw new ServingError('INVALID_CONFIG', message)
  }
  if (positionals.length > 0) refuse(`Unexpected argument "${positionals[0]}".`)
  const isOpen = values.rate !== undefined || values.scaleRate !== undefined || values.sweep !== undefined
  if (isOpen && values.concurrency !== undefined) {
    refuse('--concurrency is a closed loop; --rate, --scale-rate and --sweep are an open one.')
  }
  if (flags.has('target') && flags.has('url'))
    refuse('--url is the only server; leave it out beside --target.')
}

async function measure(
  values: BenchSettings,
  run: { readonly workload: Workload; readonly loop: Loop; readonly signal: AbortSignal },
): Promise<BenchReport> {
  const view = liveView(run.workload.requests.length, process.stderr)
  const options: BenchOptions = {
    ...run,
    targets: await openTargets(values),
    seed: values.seed,
    history: values.history,
    numRounds: values.rounds,
    goals: goalsOf(values),
    timeoutMs: values.timeout * 1000,
    command: commandText(process.argv.slice(2)),
    version: packageVersion(),
    onProgress: (progress) => view.update(progress),
  }
  const report =
    values.sweep === undefined
      ? await runBench(options)
      : await runSweep(options, ratesOf(values.sweep), scaleToRate)
  view.close()
  return report
}

async function openTargets(values: BenchSettings): Promise<Target[]> {
  const specs = (values.target ?? [values.url]).map(parseTarget)
  const names = specs.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new ServingError('INVALID_CONFIG', `Two targets are called "${twice}".`)
  const model = values.model === 'auto' ? undefined : values.model
  const targets: Target[] = []
  // Alone, a server that cannot be reached leaves nothing to show; whoever asked for a file gets one that says so.
  const isOneLine = specs.length === 1 && values.json === undefined && values.html === undefined
  const open = isOneLine ? openTarget : tryOpenTarget
  for (const spec of specs) targets.push(await open(spec, { apiKey: values.apiKey, model }))
  return targets
}

/** Of the settings that name a workload; `simulate` has them too. */
export function workloadOptions(
  values: Omit<BenchSettings, OtherSettings>,
): Parameters<typeof prepareWorkload>[0] {
  const { requests, promptTokens, outputTokens, rate } = values
  const equal = `poisson:requests=${requests},prompt=${promptTokens},output=${outputTokens},rate=${rate ?? 1}`
  return {
    source: values.workload ?? equal,
    format: values.format,
    seed: values.seed,
    slice: {
      fromSeconds: values.fromSeconds,
      toSeconds: values.toSeconds,
      maxRequests: values.maxRequests,
      maxPrograms: values.maxPrograms,
    },
    sessionsPerSecond: values.sessionsPerSecond,
    maxGapSeconds: values.maxGap,
    scaleLengths: values.scaleLengths,
    scaleToTokens: values.scaleToTokens,
    maxTokens: values.maxTokens,
    scaleRate: values.scaleRate,
    // A generated load already comes at its rate; scaling it to its mean would only blur that.
    rate: values.workload === undefined ? undefined : rate,
    spread: values.spread,
  }
}

export function loopOf({
  workload,
  rate,
  scaleRate,
  sweep,
  concurrency,
}: Pick<BenchSettings, 'workload' | 'rate' | 'scaleRate' | 'concurrency'> &
  Partial<Pick<BenchSettings, 'sweep'>>): Loop {
  if (concurrency !== undefined) return { kind: 'closed', numUsers: concurrency }
  const isOpen = [workload, rate, scaleRate, sweep].some((value) => value !== undefined)
  return isOpen ? { kind: 'open' } : { kind: 'closed', numUsers: 8 }
}

export function goalsOf({
  goalTtftMs,
  goalTbtMs,
  goalE2eMs,
}: Pick<BenchSettings, 'goalTtftMs' | 'goalTbtMs' | 'goalE2eMs'>): BenchOptions['goals'] {
  return {
    ...(goalTtftMs === undefined ? {} : { ttftMs: goalTtftMs }),
    ...(goalTbtMs === undefined ? {} : { tbtMs: goalTbtMs }),
    ...(goalE2eMs === undefined ? {} : { e2eMs: goalE2eMs }),
  }
}

function ratesOf(sweep: readonly string[]): number[] {
  return sweep.map((text) => {
    const rate = Number(text)
    if (Number.isFinite(rate) && rate > 0) return rate
    throw new ServingError('INVALID_CONFIG', `--sweep: "${text}" is not a rate above 0.`)
  })
}

async function conclude(values: BenchSettings, report: BenchReport): Promise<number> {
  const { warnings } = report.client
  if (warnings.length > 0 && !values.force) {
    process.stderr.write(
      `No report: the client was the bottleneck, not the server.\n${warnings.map((text) => `  ${text}\n`).join('')}` +
        'Send less, from a quieter machine, or use --force to see the figures anyway.\n',
    )
    return clientWasSlow
  }
  const json = `${JSON.stringify(report)}\n`
  process.stdout.write(values.json === '-' ? json : textReport(report))
  if (values.json !== undefined && values.json !== '-') await writeOutput(values.json, json)
  if (values.html !== undefined) await writeOutput(values.html, renderReport(report))
  if (report.isInterrupted) return interrupted
  const isWhole = report.targets.every(({ figures }) => figures.numFailed === 0 && figures.numMeasured > 0)
  return isWhole ? 0 : 1
}
