/**
 * Conversations of a real trace, whose turns keep their history, over a pool that holds a part of those that are live:
 *
 *   npx tsx bench/kv-conversations.ts --model FILE --traces DIR [--peer PATH/llama-server] [--share 0.333]
 *     [--sessions 12] [--turns 10] [--only 'disk tier,cache off']
 *
 * Servers one after another, each with one thread and a pool of so many tokens, under the same requests at the same
 * times: with a disk tier; without one, so that what has no room is computed again; without a prefix cache; with a disk
 * tier whose blocks move one by one while steps wait; and llama-server with one context for all. A turn is due a pause
 * after the answer before it, so that a slow server also gets its requests later.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { figuresOf } from '../src/bench/figures.ts'
import { fetchJson } from '../src/bench/http-client.ts'
import { replay } from '../src/bench/replay.ts'
import type { RequestRecord } from '../src/bench/request-record.ts'
import type { Target } from '../src/bench/targets/target.ts'
import { findVocabulary } from '../src/bench/vocabulary.ts'
import { summarize, type Summary } from '../src/metrics/summary.ts'
import { reusableTokens } from '../src/workload/reusable-tokens.ts'
import { mostLiveTokens, readConversations } from './kv-conversation-load.ts'
import { withServer } from './local-server.ts'
import { table } from './report.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    traces: { type: 'string' },
    peer: { type: 'string' },
    only: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
    share: { type: 'string', default: '0.3333' },
    sessions: { type: 'string', default: '12' },
    turns: { type: 'string', default: '10' },
    scale: { type: 'string', default: '0.03125' },
    'answer-scale': { type: 'string', default: '0.0625' },
    'gap-scale': { type: 'string', default: '0.3' },
    'max-gap': { type: 'string', default: '6' },
    'sessions-per-second': { type: 'string', default: '1' },
    'max-model-len': { type: 'string', default: '4096' },
    seed: { type: 'string', default: '1' },
  },
})
const { model, traces } = values
if (model === undefined || traces === undefined)
  throw new Error('usage: kv-conversations.ts --model FILE --traces DIR [--peer PATH/llama-server]')
const blockSize = 32
const seed = Number(values.seed)
const workload = await readConversations({
  traces,
  numSessions: Number(values.sessions),
  mostTurns: Number(values.turns),
  lengthFactor: Number(values.scale),
  answerFactor: Number(values['answer-scale']),
  gapFactor: Number(values['gap-scale']),
  mostGapSeconds: Number(values['max-gap']),
  sessionsPerSecond: Number(values['sessions-per-second']),
  maxModelLen: Number(values['max-model-len']),
  seed,
})
const reusable = reusableTokens(workload, { serverBlockSize: 1, history: 'actual' })
const liveTokens = mostLiveTokens(workload)
const poolTokens = Math.ceil((liveTokens * Number(values.share)) / blockSize) * blockSize
const dir = mkdtempSync(join(values.dir, 'switchyard-bench-'))
process.stdout.write(describeLoad())

const flags = ['-m', model, '-t', '1', '--kv-cache-tokens', `${poolTokens}`, '--log-level', 'warn']
const ours = (...more: string[]) => ['src/cli/main.ts', 'serve', ...flags, ...more]
const disk = ['--kv-disk', '4G', '--kv-disk-dir', dir]
const ways: Readonly<Record<string, readonly string[]>> = {
  'disk tier': ours(...disk),
  'no tier: computed again': ours(),
  'cache off': ours('--no-prefix-cache'),
  'disk tier block by block': ['bench/kv-conversation-server.ts', ...flags, ...disk],
}

interface Outcome {
  readonly name: string
  readonly records: readonly RequestRecord[]
  /** Of all steps, those that waited for a move; undefined where the server does not say. */
  readonly waitedShare: number | undefined
}

const outcomes: Outcome[] = []
try {
  for (const [name, args] of Object.entries(ways)) {
    if (isWanted(name)) outcomes.push(await measure(name, process.execPath, ['--import', 'tsx', ...args]))
  }
  if (values.peer !== undefined && isWanted('llama-server'))
    outcomes.push(await measure('llama-server', values.peer, peerArguments()))
} finally {
  rmSync(dir, { recursive: true })
}
process.stdout.write(`\n${report()}`)

function isWanted(name: string): boolean {
  return values.only === undefined || values.only.split(',').includes(name)
}

function peerArguments(): string[] {
  const numSlots = new Set(workload.requests.map(({ program }) => program)).size
  return ['-m', model!, '-t', '1', '-c', `${poolTokens}`, '-np', `${numSlots}`, '-kvu']
}

async function measure(name: string, program: string, args: readonly string[]): Promise<Outcome> {
  return withServer({ name, program, args }, async (target) => {
    const records = await replay({
      target,
      vocabulary: await findVocabulary(target),
      workload,
      seed,
      loop: { kind: 'open' },
      history: 'actual',
      timeoutMs: 300_000,
      signal: new AbortController().signal,
    })
    const kv = await fetchJson(target.endpoint, '/debug/kv').catch(() => undefined)
    const outcome = { name, records, waitedShare: await waitedShareOf(target) }
    process.stderr.write(`${rowOf(outcome).join(' | ')}\n${JSON.stringify(kv ?? null)}\n`)
    return outcome
  })
}

async function waitedShareOf({ endpoint }: Target): Promise<number | undefined> {
  const response = await fetch(`${endpoint.url}/metrics`).catch(() => undefined)
  const text = (await response?.text()) ?? ''
  const read = (name: string): number => Number(new RegExp(`^${name}\\{.*\\} (\\S+)$`, 'm').exec(text)?.[1])
  const share = read('switchyard_kv_waited_steps_total') / read('switchyard_step_seconds_count')
  return Number.isNaN(share) ? undefined : share
}

function describeLoad(): string {
  const { requests, provenance } = workload
  const prompts = summarize(requests.map(({ numPromptTokens }) => numPromptTokens))!
  const answers = summarize(requests.map(({ numOutputTokens }) => numOutputTokens))!
  const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0)
  const numTokens = sum(requests.map(({ numPromptTokens }) => numPromptTokens))
  return [
    `${requests.length} turns of ${new Set(requests.map(({ program }) => program)).size} sessions`,
    `prompts of ${prompts.mean.toFixed(0)} tokens on average, ${prompts.max} at most`,
    `answers of ${answers.mean.toFixed(0)} and ${answers.max}`,
    `${numTokens} tokens of prompts, of which ${((100 * sum(reusable)) / numTokens).toFixed(1)} % came before`,
    `${liveTokens} tokens live at most, pool of ${poolTokens}`,
    `last due after ${((requests.at(-1)?.arrival ?? 0) / 1e6).toFixed(0)} s`,
    `${JSON.stringify(provenance)}\n`,
  ].join('\n')
}

function report(): string {
  const header = [
    'server',
    'done',
    'hits of the bound',
    'TTFT p50, ms',
    'p99',
    'of returning turns, p50',
    'p99',
  ]
  const more = ['TBT p50, ms', 'p99', 'seconds', 'steps that waited']
  return table([...header, ...more], outcomes.map(rowOf))
}

function rowOf({ name, records, waitedShare }: Outcome): string[] {
  const figures = figuresOf(records, {}, new Set(records))
  const isBack = ({ turn, error }: RequestRecord) => turn > 0 && error === undefined
  const back = records.filter(isBack).map(({ firstTokenAt, intendedAt }) => firstTokenAt! - intendedAt)
  const numHit = records.reduce((sum, { cachedTokens }) => sum + (cachedTokens ?? 0), 0)
  const numReusable = records.reduce((sum, { index }) => sum + reusable[index]!, 0)
  return [
    name,
    `${records.length - figures.numFailed} of ${workload.requests.length}`,
    `${((100 * numHit) / numReusable).toFixed(1)} %`,
    ...tailOf(figures.ttftMs),
    ...tailOf(summarize(back)),
    ...tailOf(figures.tbtMs),
    figures.durationSeconds.toFixed(0),
    waitedShare === undefined ? '' : `${(100 * waitedShare).toFixed(1)} %`,
  ]
}

function tailOf(summary: Summary | undefined): string[] {
  return [summary?.p50, summary?.p99].map((value) => value?.toFixed(value < 10 ? 1 : 0) ?? '-')
}
