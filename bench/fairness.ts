/**
 * Who gets what under load: this server's policies beside first come, first served, and beside llama-server, each
 * server started anew with as many threads, places and KV. Needs a machine that does nothing else; a scenario takes three to
 * six minutes on real servers, seconds in the simulator. Prints Markdown for docs/results/fairness.md.
 *
 *   npx tsx bench/fairness.ts --model FILE --peer llama-server [--only flood,agents,deadlines,mixed] [--small]
 *   npx tsx bench/fairness.ts --simulate LATENCY-FILE [--plot goodput.svg]
 *
 * `--points` are workflows per second for `deadlines`, shares of the capacity for `mixed`; `--capacity` in chats per
 * second, if it is known, saves measuring it. `--policies` names who serves: policies, `default`, `llama-server`.
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { figuresOf } from '../src/bench/figures.ts'
import type { RequestRecord } from '../src/bench/request-record.ts'
import { replay } from '../src/bench/replay.ts'
import { openTarget, parseTarget } from '../src/bench/targets/target.ts'
import { findVocabulary } from '../src/bench/vocabulary.ts'
import type { EvictionName } from '../src/kvcache/eviction/index.ts'
import { summarize } from '../src/metrics/summary.ts'
import type { PolicyName } from '../src/scheduler/policies/index.ts'
import type { Workload } from '../src/workload/workload.ts'
import { goodputPlot, type GoodputPoint } from './fairness/goodput-plot.ts'
import { agents, flood, mixed } from './fairness/loads.ts'
import { withLlamaServer, withSwitchyard } from './fairness/servers.ts'
import { simulated } from './fairness/simulated.ts'
import { table } from './report.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: '' },
    peer: { type: 'string' },
    simulate: { type: 'string' },
    only: { type: 'string', default: 'flood,agents,deadlines,mixed' },
    points: { type: 'string' },
    policies: { type: 'string' },
    capacity: { type: 'string' },
    plot: { type: 'string' },
    small: { type: 'boolean', default: false },
  },
})

/** Who serves: a policy of this server, or the peer. */
interface Server {
  readonly policy: PolicyName | 'llama-server'
  readonly eviction?: EvictionName
  readonly maxNumSeqs: number
  readonly kvTokens: number
}

const byDefault = 'fair+slo+program'

async function serve(server: Server, workload: Workload): Promise<readonly RequestRecord[]> {
  const { policy, eviction = 'value', maxNumSeqs, kvTokens } = server
  if (values.simulate !== undefined) {
    if (policy === 'llama-server') throw new Error('only this server can be simulated')
    return simulated({ latency: values.simulate, policy, eviction, maxNumSeqs, kvTokens }, workload)
  }
  const settings = { model: values.model, threads: 1, maxNumSeqs, kvTokens }
  const use = (url: string): Promise<readonly RequestRecord[]> => send(url, workload)
  if (policy === 'llama-server') return withLlamaServer(values.peer!, settings, use)
  return withSwitchyard(settings, ['--policy', policy, '--kv-eviction', eviction], use)
}

async function send(url: string, workload: Workload): Promise<readonly RequestRecord[]> {
  const target = await openTarget(parseTarget(url), {})
  const signal = new AbortController().signal
  const vocabulary = await findVocabulary(target)
  const common = { target, vocabulary, seed: 1, loop: { kind: 'open' }, timeoutMs: 600_000, signal } as const
  // What is compiled on the first requests is not what is compared.
  await replay({ ...common, workload: flood({ seconds: 2 }), history: 'trace', seed: 99 })
  return replay({ ...common, workload, history: 'actual' })
}

const isReal = values.simulate === undefined
const wanted = values.policies?.split(',').map((name) => (name === 'default' ? byDefault : name))

/** Those that were asked for; all without such a wish, but for the peer where there is none. */
function chosen(servers: readonly Server[]): readonly Server[] {
  return servers.filter(({ policy }) => {
    if (policy === 'llama-server' && (!isReal || values.peer === undefined)) return false
    return wanted?.includes(policy) ?? true
  })
}

function pointsOr(usual: readonly number[]): readonly number[] {
  return values.points?.split(',').map(Number) ?? usual
}

const ms = (value: number | undefined): string => (value === undefined ? '-' : value.toFixed(0))
const seconds = (value: number | undefined): string => (value === undefined ? '-' : (value / 1000).toFixed(1))
const percent = (value: number): string => `${(100 * value).toFixed(0)} %`

async function runFlood(): Promise<void> {
  const size = { maxNumSeqs: 16, kvTokens: 16_384 }
  const span = values.small ? 8 : 34
  const rows: string[][] = []
  const run = async (server: Server, name: string, load: Workload, aloneP99?: number): Promise<number> => {
    const records = await serve(server, load)
    const own = records.filter(({ tenant, error }) => tenant === 'visitor' && error === undefined)
    const ttft = summarize(own.map(({ firstTokenAt, intendedAt }) => firstTokenAt! - intendedAt))
    const { fairness } = figuresOf(records, {})
    rows.push(
      told([
        `${server.policy}, ${name}`,
        `${own.length}`,
        ms(ttft?.p50),
        ms(ttft?.p99),
        aloneP99 === undefined ? '' : (ttft!.p99 / aloneP99).toFixed(2),
        fairness?.jain.toFixed(2) ?? '',
        fairness?.largestServiceGap.toFixed(0) ?? '',
        lastEnd(records).toFixed(1),
        `${records.filter(({ error }) => error !== undefined).length}`,
      ]),
    )
    return ttft!.p99
  }
  const few = values.small ? 20 : 200
  const server = { policy: byDefault, ...size } as const
  const alone = await run(server, 'alone', flood({ seconds: span }))
  await run(server, 'flood', flood({ seconds: span, count: few }), alone)
  await run(server, 'flood in sessions', flood({ seconds: span, count: few, sessions: true }), alone)
  for (const other of chosen([
    { policy: 'fcfs', ...size },
    { policy: 'llama-server', ...size },
  ]))
    await run(other, 'flood', flood({ seconds: span, count: few }), alone)
  const header = [
    'visitor',
    'n',
    'TTFT p50 ms',
    'p99 ms',
    'p99 / alone',
    "Jain's",
    'largest gap',
    'all done s',
    'failed',
  ]
  print('Flood', header, rows)
}

/** Seconds. */
function lastEnd(records: readonly RequestRecord[]): number {
  return records.reduce((latest, { endedAt }) => Math.max(latest, endedAt), 0) / 1000
}

/** From a program's first request to the end of its last one, in ms. */
function durations(records: readonly RequestRecord[]): Map<string, number> {
  const starts = new Map<string, number>()
  const ends = new Map<string, number>()
  for (const { program, turn, intendedAt, endedAt } of records) {
    if (program === undefined) continue
    if (turn === 0) starts.set(program, intendedAt)
    ends.set(program, Math.max(ends.get(program) ?? 0, endedAt))
  }
  return new Map([...ends].map(([program, end]) => [program, end - starts.get(program)!]))
}

async function runAgents(): Promise<void> {
  const load = agents({
    programs: values.small ? 4 : 24,
    rate: 0.5,
    turns: 8,
    system: 256,
    first: 200,
    result: 120,
    output: 30,
    toolSeconds: 1,
  })
  const size = { maxNumSeqs: 16, kvTokens: 8192 }
  const rows: string[][] = []
  const servers: Server[] = [
    { policy: byDefault, ...size },
    { policy: 'fcfs', eviction: 'lru', ...size },
    // More slots than the pool has room for end in errors there.
    { policy: 'llama-server', ...size, maxNumSeqs: 4 },
  ]
  for (const server of chosen(servers)) {
    const records = await serve(server, load)
    const all = [...durations(records).values()]
    const sorted = summarize(all)
    const sum = (of: (record: RequestRecord) => number): number =>
      records.reduce((total, record) => total + of(record), 0)
    const cached = sum(({ cachedTokens }) => cachedTokens ?? 0) / sum(({ promptTokens }) => promptTokens)
    rows.push(
      told([
        server.policy === 'fcfs' ? 'fcfs, lru' : server.policy,
        seconds(sorted?.mean),
        seconds(sorted?.p50),
        seconds(p95(all)),
        percent(cached),
        lastEnd(records).toFixed(1),
        `${records.filter(({ error }) => error !== undefined).length}`,
      ]),
    )
  }
  print(
    'Agents',
    ['completion of programs', 'mean s', 'p50 s', 'p95 s', 'cached', 'all done s', 'failed'],
    rows,
  )
}

function p95(all: readonly number[]): number {
  const ascending = all.toSorted((a, b) => a - b)
  return ascending[Math.min(ascending.length - 1, Math.floor(0.95 * ascending.length))]!
}

async function runDeadlines(): Promise<void> {
  const size = { maxNumSeqs: 8, kvTokens: 32_768 }
  const servers = chosen((['fcfs', byDefault, 'deadline'] as const).map((policy) => ({ policy, ...size })))
  const rows: string[][] = []
  for (const rate of pointsOr(isReal ? [0.9] : [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2])) {
    const load = agents({
      programs: values.small ? 6 : 60,
      rate,
      turns: 4,
      system: 64,
      first: 300,
      result: 200,
      output: 60,
      toolSeconds: 0.5,
      deadlineSeconds: 5,
    })
    const due = new Map(load.requests.map(({ program, deadline }) => [program!, deadline!.after / 1000]))
    const row = [rate.toFixed(2)]
    for (const server of servers) {
      const took = durations(await serve(server, load))
      const numMet = [...took].filter(([program, each]) => each <= due.get(program)!).length
      row.push(percent(numMet / took.size))
    }
    rows.push(told(row))
  }
  print('Deadlines met', ['workflows/s', ...servers.map(({ policy }) => policy)], rows)
}

const kinds = ['chats', 'readers', 'jobs'] as const

async function runMixed(): Promise<void> {
  const size = { maxNumSeqs: 16, kvTokens: 32_768 }
  const rows: string[][] = []
  const span = values.small ? 5 : isReal ? 40 : 300
  const points: GoodputPoint[] = []
  const capacity = Number(values.capacity ?? (await measureCapacity(size)))
  process.stdout.write(`\nCapacity: ${capacity.toFixed(2)} chats/s with the others that belong to them.\n`)
  const usual = isReal ? (['fcfs', byDefault] as const) : (['fcfs', 'fair', 'slo', byDefault] as const)
  const servers = chosen(usual.map((policy) => ({ policy, ...size })))
  for (const share of pointsOr([0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3])) {
    for (const server of servers) {
      const { policy } = server
      const records = await serve(server, mixed({ rate: share * capacity, seconds: span }))
      const shares = kinds.map((tenant) => goodput(records, tenant))
      rows.push(told([share.toFixed(2), policy, ...shares.map(percent)]))
      kinds.forEach((kind, index) => points.push({ share, policy, kind, goodput: shares[index]! }))
    }
  }
  print('Mixed classes, share that met its targets', ['of capacity', 'policy', ...kinds], rows)
  if (values.plot !== undefined) await writeFile(values.plot, goodputPlot(points, titles))
}

/** Chats per second. More come than anybody can serve: what is served meanwhile is the capacity. */
async function measureCapacity(size: { maxNumSeqs: number; kvTokens: number }): Promise<number> {
  const load = { rate: 6, seconds: values.small ? 3 : 30 }
  const records = await serve({ policy: 'fcfs', ...size }, mixed(load))
  return (load.rate * load.seconds) / lastEnd(records)
}

const titles = {
  chats: 'chats: TTFT 1 s, TBT 100 ms',
  readers: 'long flex prompts: TTFT 30 s',
  jobs: 'batch jobs: done in 5 min',
}

function goodput(all: readonly RequestRecord[], tenant: (typeof kinds)[number]): number {
  const records = all.filter((each) => each.tenant === tenant)
  const targets = {
    chats: { ttftMs: 1000, tbtMs: 100 },
    readers: { ttftMs: 30_000 },
    jobs: { e2eMs: 300_000 },
  } as const
  return figuresOf(records, targets[tenant], new Set(records)).goodput?.share ?? 0
}

/** Says each row as it comes: a run takes minutes. */
function told(row: string[]): string[] {
  process.stderr.write(`${row.join(' | ')}\n`)
  return row
}

function print(title: string, header: readonly string[], rows: readonly (readonly string[])[]): void {
  process.stdout.write(`\n## ${title}\n\n${table(header, rows)}`)
}

const scenarios = { flood: runFlood, agents: runAgents, deadlines: runDeadlines, mixed: runMixed }
for (const [name, run] of Object.entries(scenarios)) {
  if (values.only.split(',').includes(name)) await run()
}
