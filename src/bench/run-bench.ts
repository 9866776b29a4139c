/** A whole run: every target in turn, round by round, and the report of all. */
import { cpus, totalmem } from 'node:os'
import { ServingError } from '../core/errors.ts'
import type { Workload } from '../workload/workload.ts'
import type { BenchReport, Goals, RequestRow, SweepPoint, TargetReport } from './bench-report.ts'
import { ClientHealth } from './client-health.ts'
import { figuresOf, mismatchesOf } from './figures.ts'
import { selectMeasured } from './measured-requests.ts'
import { replay, type Loop, type ReplayOptions } from './replay.ts'
import type { RequestRecord } from './request-record.ts'
import { startScraping } from './scrape.ts'
import { measureOverhead } from './self-measurement.ts'
import type { Target } from './targets/target.ts'
import { findVocabulary, type Vocabulary } from './vocabulary.ts'
import { workloadShape } from './workload-shape.ts'

export interface BenchOptions {
  readonly targets: readonly Target[]
  readonly workload: Workload
  readonly seed: number
  readonly loop: Loop
  readonly history: 'trace' | 'actual'
  /** Times that every target serves the workload, the order of the targets turning round; prompts differ each time. */
  readonly numRounds: number
  readonly goals: Goals
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** For the report. */
  readonly command: string
  readonly version: string
  readonly onProgress?: (progress: BenchProgress) => void
}

/** What a watcher may show; told at every event. */
export interface BenchProgress {
  readonly target: string
  readonly round: number
  readonly event: 'sent' | 'token' | 'ended'
  readonly record?: RequestRecord
}

interface Measured {
  readonly target: Target
  readonly records: RequestRecord[]
  readonly scrapes: TargetReport['scrapes'][number][]
  vocabulary: Vocabulary | undefined
  /** Where the next round's instants begin. */
  offsetMs: number
}

export async function runBench(options: BenchOptions): Promise<BenchReport> {
  return benchOnce(options, { overhead: await measureOverhead(options.signal), firstRound: 0 })
}

/**
 * The workload at several rates, one after another; `at` makes it come at a rate. The report is that of the last rate
 * with a row for each; a rate at which the client was the bottleneck leaves its warning.
 */
export async function runSweep(
  options: BenchOptions,
  rates: readonly number[],
  at: (workload: Workload, requestsPerSecond: number) => Workload,
): Promise<BenchReport> {
  const overhead = await measureOverhead(options.signal)
  const sweep: SweepPoint[] = []
  const warnings: string[] = []
  let report: BenchReport | undefined
  for (const [index, requestsPerSecond] of rates.entries()) {
    const due = { ...options, workload: at(options.workload, requestsPerSecond) }
    report = await benchOnce(due, { overhead, firstRound: index * options.numRounds })
    for (const { name, figures } of report.targets) sweep.push({ target: name, requestsPerSecond, figures })
    for (const warning of report.client.warnings)
      warnings.push(`At ${requestsPerSecond} requests/s: ${warning}`)
    if (options.signal.aborted) break
  }
  if (report === undefined) throw new ServingError('INVALID_CONFIG', 'A sweep needs at least one rate.')
  return { ...report, client: { ...report.client, warnings }, sweep }
}

interface Pass {
  readonly overhead: number | undefined
  /** How often the targets have served the workload before. */
  readonly firstRound: number
}

async function benchOnce(options: BenchOptions, { overhead, firstRound }: Pass): Promise<BenchReport> {
  const { workload, seed, loop, goals, signal } = options
  const health = new ClientHealth()
  const measured = await measureTargets(options, firstRound)
  const all = measured.flatMap(({ records }) => records)
  return {
    format: 'switchyard-bench/1',
    createdAt: new Date().toISOString(),
    command: options.command,
    isInterrupted: signal.aborted,
    machine: describeMachine(options.version),
    client: health.report(all, overhead),
    workload: workloadShape(workload, { seed, loop }),
    goals,
    targets: measured.map((one) => reportTarget(one, goals)),
  }
}

async function measureTargets(options: BenchOptions, firstRound: number): Promise<readonly Measured[]> {
  const measured = options.targets.map((target): Measured => ({
    target,
    records: [],
    scrapes: [],
    vocabulary: undefined,
    offsetMs: 0,
  }))
  for (let round = 0; round < options.numRounds; round += 1) {
    const order = round % 2 === 0 ? measured : measured.toReversed()
    // What was asked before is in the servers' caches: every pass has prompts of its own.
    const seed = options.seed + firstRound + round
    for (const one of order) {
      if (!options.signal.aborted && one.target.problem === undefined)
        await measureOnce(one, { ...options, seed }, round)
    }
  }
  return measured
}

async function measureOnce(one: Measured, options: BenchOptions, round: number): Promise<void> {
  const { target } = one
  const { onProgress } = options
  one.vocabulary ??= await findVocabulary(target)
  const scraping = startScraping(target)
  const replayOptions: ReplayOptions = {
    ...options,
    target,
    vocabulary: one.vocabulary,
    onSent: () => onProgress?.({ target: target.name, round, event: 'sent' }),
    onToken: () => onProgress?.({ target: target.name, round, event: 'token' }),
    onRecord: (record) => onProgress?.({ target: target.name, round, event: 'ended', record }),
  }
  const records = await replay(replayOptions)
  scraping.stop()
  const moved = records.map((record) => ({ ...moveRecord(record, one.offsetMs), round }))
  one.records.push(...moved)
  one.scrapes.push(...scraping.rows.map((row) => ({ ...row, at: row.at + one.offsetMs })))
  one.offsetMs = moved.reduce((latest, { endedAt }) => Math.max(latest, endedAt), one.offsetMs)
}

function moveRecord(record: RequestRecord, ms: number): RequestRecord {
  if (ms === 0) return record
  const { firstTokenAt } = record
  return {
    ...record,
    intendedAt: record.intendedAt + ms,
    sentAt: record.sentAt + ms,
    firstTokenAt: firstTokenAt === undefined ? undefined : firstTokenAt + ms,
    endedAt: record.endedAt + ms,
    tokenTimes: record.tokenTimes.map((at) => at + ms),
  }
}

function reportTarget({ target, records, scrapes }: Measured, goals: Goals): TargetReport {
  const { name, endpoint, model, adapter, version, problem } = target
  const measured = selectMeasured(records)
  const figures = figuresOf(records, goals, measured)
  return {
    name,
    url: endpoint.url,
    model,
    server: version === undefined ? undefined : `${adapter.name} ${version}`,
    figures: problem === undefined ? figures : { ...figures, errors: { [problem]: 1 } },
    requests: records.map((record) => rowOf(record, measured.has(record))),
    scrapes,
    mismatches: mismatchesOf(records, undefined),
  }
}

export function rowOf(record: RequestRecord, measured: boolean): RequestRow {
  const { tenant, program, turn, intendedAt, sentAt, firstTokenAt, endedAt, maxGap } = record
  const { promptTokens, cachedTokens, outputTokens, error } = record
  const times = { intendedAt, sentAt, firstTokenAt, endedAt, maxGap }
  const counts = { promptTokens, cachedTokens, outputTokens }
  return { tenant, program, turn, ...times, ...counts, isMeasured: measured, error }
}

export function describeMachine(version: string): BenchReport['machine'] {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    numCores: cpus().length,
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    nodeVersion: process.versions.node,
    switchyardVersion: version,
  }
}
