/**
 * How much load the load generator can bear: many concurrent streams from a server without a model, in a process of
 * its own, and what the client says of itself.
 *
 *   npx tsx bench/client-capacity.ts [--streams 2000] [--tokens-per-second 10] [--seconds 10]
 */
import { parseArgs } from 'node:util'
import { ClientHealth } from '../src/bench/client-health.ts'
import { replay } from '../src/bench/replay.ts'
import { startNullServerProcess } from '../src/bench/self-measurement.ts'
import { openAi } from '../src/bench/targets/openai.ts'
import { micros } from '../src/core/units.ts'
import { percentile } from '../src/metrics/summary.ts'
import { table } from './report.ts'

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '2000' },
    'tokens-per-second': { type: 'string', default: '10' },
    seconds: { type: 'string', default: '10' },
  },
})
const numStreams = Number(values.streams)
const gapMs = 1000 / Number(values['tokens-per-second'])
const numTokens = Math.round((Number(values.seconds) * 1000) / gapMs)
/** The streams start over so long, so that connecting is not what is measured. */
const rampMs = 4000

const { url, stop } = await startNullServerProcess({ gapMs })
const health = new ClientHealth()
const startedAt = performance.now()
const records = await replay({
  target: {
    name: 'null',
    endpoint: { url, apiKey: undefined },
    adapter: openAi,
    version: undefined,
    model: 'null',
  },
  vocabulary: { kind: 'words', words: ['one', 'two', 'three'] },
  workload: {
    name: 'capacity',
    blockSize: 16,
    provenance: [],
    requests: Array.from({ length: numStreams }, (_, index) => ({
      arrival: micros((index / numStreams) * rampMs * 1000),
      tenant: 'a',
      program: undefined,
      turn: 0,
      gap: micros(0),
      gapKind: undefined,
      numPromptTokens: 32,
      numOutputTokens: numTokens,
      blocks: [index, -index],
      serviceClass: 'default',
    })),
  },
  seed: 0,
  loop: { kind: 'open' },
  history: 'trace',
  timeoutMs: 60_000,
  signal: new AbortController().signal,
})
const seconds = (performance.now() - startedAt) / 1000
stop()

const { cpuShare, sendLagMs, eventLoopLagMs, warnings } = health.report(records, undefined)
const gaps = records
  .flatMap(({ tokenTimes }) => tokenTimes.slice(1).map((at, index) => at - tokenTimes[index]!))
  .sort((a, b) => a - b)
const numEvents = records.reduce((total, { tokenTimes }) => total + tokenTimes.length, 0)
const mostAtOnce = Math.max(
  ...records.map(
    ({ sentAt }) => records.filter((other) => other.sentAt <= sentAt && other.endedAt > sentAt).length,
  ),
)
process.stdout.write(
  table(
    ['measure', 'value'],
    [
      ['streams at once', String(mostAtOnce)],
      ['failed', String(records.filter(({ error }) => error !== undefined).length)],
      ['token events/s, mean', (numEvents / seconds).toFixed(0)],
      ['share of a core', cpuShare.toFixed(2)],
      ['sends late, p99 ms', sendLagMs?.p99.toFixed(1) ?? '-'],
      ['event loop late, p99 ms', eventLoopLagMs?.p99.toFixed(1) ?? '-'],
      [`gaps (${gapMs} ms asked), p50 ms`, percentile(gaps, 0.5).toFixed(1)],
      ['gaps, p99 ms', percentile(gaps, 0.99).toFixed(1)],
      ['warnings', warnings.join(' ') || 'none'],
    ],
  ),
)
