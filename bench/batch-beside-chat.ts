/**
 * What a person who chats notices of a batch: time to the first token and between tokens, alone, beside a batch, and
 * beside the same requests as ordinary traffic; and how many of those requests got an answer meanwhile. The person
 * sends one prompt at a time and thinks for a while behind each answer. One server runs at a time; seven clients leave one of
 * eight slots to the person.
 *
 *   npx tsx bench/batch-beside-chat.ts --model FILE [--peer llama-server] [--turns 20] [--clients 7]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { RandomStream } from '../src/core/random.ts'
import { findBatch, makeBodies, postJson, startBatch, type BatchBody } from './batch-requests.ts'
import { withServer, type ServerCommand } from './local-server.ts'
import { streamCompletion, tokenOf } from './token-stream.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    peer: { type: 'string' },
    turns: { type: 'string', default: '20' },
    prompt: { type: 'string', default: '200' },
    answer: { type: 'string', default: '64' },
    think: { type: 'string', default: '300' },
    /** One token that is whole text: what the person is answered, over and over. */
    word: { type: 'string', default: ' the' },
    requests: { type: 'string', default: '4000' },
    prefix: { type: 'string', default: '500' },
    suffix: { type: 'string', default: '100' },
    output: { type: 'string', default: '32' },
    /** How many send the batch's requests as traffic. */
    clients: { type: 'string', default: '7' },
    'kv-cache-tokens': { type: 'string', default: '8960' },
    slots: { type: 'string', default: '8' },
    threads: { type: 'string', default: '1' },
  },
})
const { model } = values
if (model === undefined) throw new Error('usage: batch-beside-chat.ts --model FILE [--peer llama-server]')

const bodies = makeBodies({
  requests: Number(values.requests),
  groups: 20,
  prefix: Number(values.prefix),
  suffix: Number(values.suffix),
  output: Number(values.output),
})
const dir = mkdtempSync(join(tmpdir(), 'batch-bench-'))

/** Keeps a server busy until it is ended; `done` tells how many requests have an answer. */
interface Load {
  done(): Promise<number>
  end(): Promise<void>
}

type StartLoad = (url: string) => Promise<Load>

const noLoad: StartLoad = () =>
  Promise.resolve({ done: () => Promise.resolve(0), end: () => Promise.resolve() })

const batchLoad: StartLoad = async (url) => {
  const { id } = await startBatch(url, bodies)
  return {
    done: async () => (await findBatch(url, id)).request_counts.completed,
    end: async () => void (await postJson(`${url}/v1/batches/${id}/cancel`, {})),
  }
}

const trafficLoad =
  (numClients: number): StartLoad =>
  async (url) => {
    const abort = new AbortController()
    const waiting = bodies.values()
    let numDone = 0
    const client = async (): Promise<void> => {
      for (const body of waiting) {
        if (!(await answered(url, body, abort.signal))) return
        numDone += 1
      }
    }
    const clients = Promise.all(Array.from({ length: numClients }, client))
    return {
      done: () => Promise.resolve(numDone),
      end: async () => {
        abort.abort()
        await clients
      },
    }
  }

/** False: it was given up. */
async function answered(url: string, body: BatchBody, signal: AbortSignal): Promise<boolean> {
  try {
    await postJson(`${url}/v1/completions`, body, signal)
    return true
  } catch (error) {
    if (signal.aborted) return false
    throw error
  }
}

interface Chat {
  /** Milliseconds, one of each turn. */
  readonly firstTokens: readonly number[]
  readonly gaps: readonly number[]
  readonly seconds: number
}

async function chat(url: string): Promise<Chat> {
  const random = new RandomStream(2)
  const token = await tokenOf(url, values.word)
  const firstTokens: number[] = []
  const gaps: number[] = []
  const startedAt = performance.now()
  const numTokens = Number(values.answer)
  for (let turn = 0; turn < Number(values.turns); turn += 1) {
    const prompt = Array.from({ length: Number(values.prompt) }, () => 1000 + random.below(20_000))
    const sentAt = performance.now()
    // One token more than is waited for: servers may send the last with the end.
    const stream = streamCompletion(url, { prompt, max_tokens: numTokens + 1, token })
    await stream.received(numTokens)
    const { times } = stream
    firstTokens.push(times[0]! - sentAt)
    for (let index = 1; index < numTokens; index += 1) gaps.push(times[index]! - times[index - 1]!)
    await stream.cancel()
    await sleep(Number(values.think))
  }
  return { firstTokens, gaps, seconds: (performance.now() - startedAt) / 1000 }
}

const ours: ServerCommand = {
  name: 'switchyard',
  program: process.execPath,
  args: ['--import', 'tsx', 'src/cli/main.ts', 'serve', model, '--log-level', 'error'].concat(
    ['--threads', values.threads, '--kv-cache-tokens', values['kv-cache-tokens'], '--data-dir', dir],
    ['--max-num-seqs', '16'],
  ),
}
const peer: ServerCommand = {
  name: 'llama-server',
  program: values.peer ?? '',
  args: ['-m', model, '-t', values.threads, '-c', values['kv-cache-tokens'], '-np', values.slots].concat([
    '-fa',
    'on',
  ]),
}

const traffics = values.clients
  .split(',')
  .map((count): [string, StartLoad] => [`beside traffic of ${count} clients`, trafficLoad(Number(count))])
const runs: readonly [ServerCommand, readonly [string, StartLoad][]][] = [
  [ours, [['alone', noLoad], ['beside the batch', batchLoad], ...traffics]],
  ...(values.peer === undefined
    ? []
    : [[peer, [['alone', noLoad], ...traffics]] as [ServerCommand, [string, StartLoad][]]]),
]

const share = (samples: readonly number[], part: number): number =>
  samples.toSorted((a, b) => a - b)[Math.floor(part * (samples.length - 1))]!

async function measure(command: ServerCommand, [name, startLoad]: [string, StartLoad]): Promise<string[]> {
  return withServer(command, async ({ endpoint: { url } }) => {
    const load = await startLoad(url)
    // Until the first answers are there.
    if (startLoad !== noLoad) while ((await load.done()) < 20) await sleep(50)
    const before = await load.done()
    const { firstTokens, gaps, seconds } = await chat(url)
    const rate = ((await load.done()) - before) / seconds
    await load.end()
    const times = [firstTokens, gaps].flatMap((samples) => [share(samples, 0.5), share(samples, 0.95)])
    const longest = Math.max(...gaps)
    return [
      `${command.name}, ${name}`,
      ...[...times, longest].map((millis) => millis.toFixed(1)),
      startLoad === noLoad ? '' : rate.toFixed(1),
    ]
  })
}

const header = ['', 'TTFT p50, ms', 'p95', 'TBT p50, ms', 'p95', 'longest', 'requests/s meanwhile']
process.stdout.write(`| ${header.join(' | ')} |\n|---|${'---:|'.repeat(header.length - 1)}\n`)
for (const [command, loads] of runs) {
  for (const load of loads) process.stdout.write(`| ${(await measure(command, load)).join(' | ')} |\n`)
}
rmSync(dir, { recursive: true, force: true })
