/**
 * How far the simulator is from the engine: four workloads that no calibration has seen, at three shares of capacity,
 * on a real server and simulated with what `switchyard calibrate` found here, and the same under several policies.
 * Needs a machine that does nothing else; takes about half an hour. Prints Markdown for docs/fidelity.md.
 *
 *   npx tsx bench/fidelity.ts [--model FILE] [--latency FILE] [--requests 150] [--max-num-seqs 16]
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import type { BenchReport, TargetFigures } from '../src/bench/bench-report.ts'
import { bundledModel } from '../src/config/schema.ts'
import type { Summary } from '../src/metrics/summary.ts'
import { table } from './report.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: bundledModel },
    latency: { type: 'string' },
    requests: { type: 'string', default: '150' },
    'max-num-seqs': { type: 'string', default: '16' },
  },
})
const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
const { requests } = values
const engine = ['--max-num-seqs', values['max-num-seqs']]
const shares = [0.3, 0.6, 0.9]
const policies = ['fcfs', 'fair', 'fair+slo+program']
const numPrograms = String(Math.ceil(Number(requests) / 3))

/** Lengths that small models hold. */
const workloads: Readonly<Record<string, string>> = {
  bursts: `bursts:requests=${requests},prompt=200,output=60,spread=1,max-tokens=700`,
  agents: `agents:programs=${numPrograms},turns=3,system=256,first=100,result=80,output=40,tool-seconds=0.5,think-share=0,max-tokens=900`,
  tenants: `tenants:requests=${requests},prompt=150,output=80,spread=1,max-tokens=700`,
  'shared prefixes': `prefix-tree:requests=${requests},level=128,prompt=60,output=50,max-tokens=700`,
}

const figures = ['TTFT', 'TPOT', 'end to end'] as const
const statistics = ['mean', 'p50', 'p90', 'p99'] as const

function summaryOf(of: TargetFigures, figure: (typeof figures)[number]): Summary | undefined {
  return figure === 'TTFT' ? of.ttftMs : figure === 'TPOT' ? of.tpotMs : of.e2eMs
}

function switchyard(...args: string[]): Promise<{ stdout: string }> {
  return promisify(execFile)(process.execPath, ['--import', 'tsx', main, ...args], { maxBuffer: 2 ** 28 })
}

async function figuresOf(path: string): Promise<TargetFigures> {
  const report = JSON.parse(await readFile(path, 'utf8')) as BenchReport
  return report.targets[0]!.figures
}

/** A server of its own for each run: caches begin empty, as they do in the simulator. */
async function withServer<Result>(policy: string, use: (url: string) => Promise<Result>): Promise<Result> {
  const args = ['serve', values.model, '--port', '0', '--log-level', 'warn', '--policy', policy, ...engine]
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const url = /http:\/\/\S+/.exec(line)?.[0]
      if (url !== undefined) return await use(url)
    }
    throw new Error('the server ended before it served')
  } finally {
    child.kill('SIGINT')
    await once(child, 'exit')
  }
}

const folder = await mkdtemp(join(tmpdir(), 'switchyard-fidelity-'))

async function measure(workload: string, rate: number, policy: string): Promise<TargetFigures> {
  const out = join(folder, 'measured.json')
  const load = ['-w', workload, '--rate', String(rate), '--seed', '5', '--force', '--json', out]
  await withServer(policy, (url) => switchyard('bench', '--url', url, ...load))
  return figuresOf(out)
}

async function simulate(workload: string, load: readonly string[], policy: string): Promise<TargetFigures> {
  const out = join(folder, 'simulated.json')
  const machine = ['--latency', latency, '--policy', policy, ...engine]
  await switchyard('simulate', '-w', workload, '--seed', '5', ...machine, ...load, '--json', out)
  return figuresOf(out)
}

async function calibrate(): Promise<string> {
  const out = join(folder, 'latency.json')
  const { stdout } = await switchyard('calibrate', values.model, '--out', out, ...engine)
  process.stdout.write(`${stdout.replace(/^Wrote.*\n/m, '')}\n`)
  return out
}

const percent = (share: number): string => `${share < 0 ? '-' : '+'}${Math.abs(100 * share).toFixed(1)} %`

function errorOf(measured: Summary | undefined, simulated: Summary | undefined, key: keyof Summary): string {
  if (measured === undefined || simulated === undefined) return '-'
  return percent(simulated[key] / measured[key] - 1)
}

process.stdout.write(`Load of the machine before: ${loadavg()[0]!.toFixed(2)}\n\n`)
const latency = values.latency ?? (await calibrate())
const rows: string[][] = []
const ranks: string[][] = []
try {
  for (const [name, workload] of Object.entries(workloads)) {
    // What the engine can bear: as many users as it has places, none of whom pauses.
    const closed = ['--concurrency', values['max-num-seqs'], '--max-gap', '0']
    const { requestsPerSecond: capacity } = await simulate(workload, closed, 'fcfs')
    for (const share of shares) {
      const rate = share * capacity
      const measured = await measure(workload, rate, 'fair+slo+program')
      const simulated = await simulate(workload, ['--rate', String(rate)], 'fair+slo+program')
      for (const figure of figures) {
        const [real, made] = [summaryOf(measured, figure), summaryOf(simulated, figure)]
        const cells = statistics.map((key) => errorOf(real, made, key))
        rows.push([`${name}, ${share} of capacity: ${figure}`, real?.mean.toFixed(1) ?? '-', ...cells])
      }
      process.stderr.write(`${name} at ${share} of ${capacity.toFixed(2)} requests/s\n`)
    }
    for (const policy of policies) {
      const rate = 0.9 * capacity
      const measured = await measure(workload, rate, policy)
      const simulated = await simulate(workload, ['--rate', String(rate)], policy)
      const means = [measured, simulated].map(({ ttftMs }) => ttftMs?.mean.toFixed(1) ?? '-')
      ranks.push([`${name}: ${policy}`, ...means])
    }
  }
} finally {
  await rm(folder, { recursive: true })
}
process.stdout.write(table(['error of the simulation', 'measured mean (ms)', ...statistics], rows))
process.stdout.write(`\n${table(['mean TTFT (ms) at 0.9 of capacity', 'measured', 'simulated'], ranks)}`)
process.stdout.write(`\nLoad of the machine after: ${loadavg()[0]!.toFixed(2)}\n`)
