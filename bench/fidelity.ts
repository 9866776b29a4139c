/**
 * How far the simulator is from the engine: four workloads that no calibration has seen, at three shares of capacity,
 * on a real server and simulated with what `switchyard calibrate` found here, and one of them under several policies.
 * Needs a machine that does nothing else; takes about 20 minutes. Prints Markdown for docs/fidelity.md.
 *
 *   npx tsx bench/fidelity.ts [--model FILE] [--threads 1] [--seconds 60] [--folder FOLDER] [--only NAME]
 *
 * What was measured stays in the folder and is not measured again, so that a machine need be quiet for a while only:
 * --only calibrate or the name of a workload measures that alone. Delete a file of the folder to measure it anew.
 * Every run's plans are recorded: from its steps follows how fast the machine was just then.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import type { BenchReport, TargetFigures } from '../src/bench/bench-report.ts'
import { bundledModel } from '../src/config/schema.ts'
import { paceOf, writePaced } from './fidelity/pace.ts'
import { aimTable, detailTable, policyTable, type Compared } from './fidelity/tables.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: bundledModel },
    threads: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '60' },
    folder: { type: 'string', default: 'fidelity-runs' },
    'max-num-seqs': { type: 'string', default: '16' },
    only: { type: 'string' },
  },
})
const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
const machine = ['--threads', values.threads]
const engine = ['--max-num-seqs', values['max-num-seqs']]
const shares = [0.3, 0.6, 0.9]
const busiest = 0.9
const usualPolicy = 'fair+slo+program'
const policies = ['fcfs', 'fair', usualPolicy]
/** Where policies differ most. */
const rankedWorkload = 'tenants'
const seed = ['--seed', '5']
const latency = join(values.folder, 'latency.json')

/** Lengths that small models hold. A generator takes how many requests it is to make. */
const workloads: Readonly<Record<string, (numRequests: number) => string>> = {
  bursts: (count) => `bursts:requests=${count},prompt=200,output=60,spread=1,max-tokens=700`,
  agents: (count) =>
    `agents:programs=${Math.ceil(count / 3)},turns=3,system=256,first=100,result=80,output=40,tool-seconds=0.5,think-share=0,max-tokens=900`,
  tenants: (count) => `tenants:requests=${count},prompt=150,output=80,spread=1,max-tokens=700`,
  'shared prefixes': (count) => `prefix-tree:requests=${count},level=128,prompt=60,output=50,max-tokens=700`,
}

interface Point {
  readonly workload: string
  readonly share: number
  readonly policy: string
}

function switchyard(...args: string[]): Promise<{ stdout: string }> {
  return promisify(execFile)(process.execPath, ['--import', 'tsx', main, ...args], { maxBuffer: 2 ** 28 })
}

async function figuresOf(path: string): Promise<TargetFigures> {
  const report = JSON.parse(await readFile(path, 'utf8')) as BenchReport
  return report.targets[0]!.figures
}

/** A server of its own for each run: caches begin empty, as they do in the simulator. */
async function withServer<Result>(
  policy: string,
  plans: string,
  use: (url: string) => Promise<Result>,
): Promise<Result> {
  const options = [
    '--port',
    '0',
    '--log-level',
    'warn',
    '--policy',
    policy,
    ...machine,
    ...engine,
    '--record-plans',
    plans,
  ]
  const child = spawn(process.execPath, ['--import', 'tsx', main, 'serve', values.model, ...options], {
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

/** What the engine can bear: as many users as it has places, none of whom pauses. Stays what it was first. */
async function capacityOf(workload: string): Promise<number> {
  const path = join(values.folder, `${workload}-capacity.json`)
  if (!existsSync(path)) {
    const load = ['--concurrency', values['max-num-seqs'], '--max-gap', '0']
    await simulate(path, workloads[workload]!(400), latency, ['--policy', 'fcfs', ...load])
  }
  return (await figuresOf(path)).requestsPerSecond
}

async function simulate(
  path: string,
  workload: string,
  machine: string,
  load: readonly string[],
): Promise<TargetFigures> {
  const options = ['-w', workload, ...seed, '--latency', machine, ...engine, ...load, '--json', path]
  await switchyard('simulate', ...options)
  return figuresOf(path)
}

async function measure(
  path: string,
  workload: string,
  load: readonly string[],
  policy: string,
): Promise<void> {
  if (existsSync(path)) return
  const options = ['-w', workload, ...seed, ...load, '--force', '--json', `${path}.part`]
  await withServer(policy, `${path}.plans`, (url) => switchyard('bench', '--url', url, ...options))
  await rename(`${path}.part`, path)
}

function isWanted(name: string): boolean {
  return values.only === undefined || values.only === name
}

function pointsOf(workload: string): Point[] {
  return shares.flatMap((share) =>
    (share === busiest && workload === rankedWorkload ? policies : [usualPolicy]).map((policy) => ({
      workload,
      share,
      policy,
    })),
  )
}

/** Undefined where it was not measured, and is not to be now. */
async function compare({ workload, share, policy }: Point): Promise<Compared | undefined> {
  const name = `${workload}-${share}-${policy}`
  const measuredPath = join(values.folder, `${name}.json`)
  if (!isWanted(workload) && !existsSync(measuredPath)) return undefined
  const rate = share * (await capacityOf(workload))
  const text = workloads[workload]!(Math.ceil(rate * Number(values.seconds)))
  const load = ['--rate', String(rate)]
  await measure(measuredPath, text, load, policy)
  process.stderr.write(`${name}: ${rate.toFixed(2)} requests/s\n`)
  const pace = await paceOf(`${measuredPath}.plans`, latency)
  const paced = join(values.folder, `${name}-latency.json`)
  await writePaced(latency, pace, paced)
  const made = [...load, '--policy', policy]
  return {
    workload,
    share,
    policy,
    pace,
    measured: await figuresOf(measuredPath),
    simulated: await simulate(join(values.folder, `${name}-simulated.json`), text, latency, made),
    paced: await simulate(join(values.folder, `${name}-paced.json`), text, paced, made),
  }
}

await mkdir(values.folder, { recursive: true })
if (isWanted('calibrate') && !existsSync(latency)) {
  const { stdout } = await switchyard('calibrate', values.model, '--out', latency, ...machine, ...engine)
  process.stderr.write(stdout)
}
const compared: Compared[] = []
for (const point of Object.keys(workloads).flatMap(pointsOf)) {
  const both = await compare(point)
  if (both !== undefined) compared.push(both)
}
const usual = compared.filter(({ policy }) => policy === usualPolicy)
const ranked = compared.filter(({ share, workload }) => share === busiest && workload === rankedWorkload)
process.stdout.write(`${aimTable(usual)}\n${detailTable(usual)}\n${policyTable(ranked)}`)
