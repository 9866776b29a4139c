/**
 * A batch file whose requests share long prompts by groups, in shuffled order: as a batch, as ordinary traffic of the
 * same server, and as traffic of llama-server. One server runs at a time; requests, order and KV cache are the same.
 *
 *   npx tsx bench/batch-file.ts --model FILE [--peer llama-server] [--requests 400] [--groups 20] [--prefix 1000]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { findBatch, makeBodies, postJson, startBatch, type BatchBody } from './batch-requests.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    peer: { type: 'string' },
    requests: { type: 'string', default: '400' },
    groups: { type: 'string', default: '20' },
    prefix: { type: 'string', default: '1000' },
    suffix: { type: 'string', default: '40' },
    output: { type: 'string', default: '16' },
    concurrency: { type: 'string', default: '64' },
    'kv-cache-tokens': { type: 'string', default: '8960' },
    'max-num-seqs': { type: 'string', default: '16' },
    slots: { type: 'string', default: '8' },
    threads: { type: 'string', default: '1' },
  },
})
const { model } = values
if (model === undefined) throw new Error('usage: batch-file.ts --model FILE [--peer llama-server]')
const numRequests = Number(values.requests)

interface Outcome {
  readonly seconds: number
  readonly promptTokens: number
  readonly cachedTokens: number
}

interface Usage {
  readonly prompt_tokens: number
  readonly prompt_tokens_details?: { readonly cached_tokens?: number }
}

function outcomeOf(startedAt: number, usages: readonly Usage[]): Outcome {
  if (usages.length !== numRequests)
    throw new Error(`${usages.length} of ${numRequests} requests have an answer`)
  const sum = (valueOf: (usage: Usage) => number) =>
    usages.reduce((total, usage) => total + valueOf(usage), 0)
  return {
    seconds: (performance.now() - startedAt) / 1000,
    promptTokens: sum((usage) => usage.prompt_tokens),
    cachedTokens: sum((usage) => usage.prompt_tokens_details?.cached_tokens ?? 0),
  }
}

/** A number of clients, each with its next request as soon as the last is answered. */
async function asTraffic(url: string, bodies: readonly BatchBody[]): Promise<Outcome> {
  const startedAt = performance.now()
  const waiting = bodies.values()
  const usages: Usage[] = []
  const client = async () => {
    for (const body of waiting)
      usages.push((await postJson<{ usage: Usage }>(`${url}/v1/completions`, body)).usage)
  }
  await Promise.all(Array.from({ length: Number(values.concurrency) }, client))
  return outcomeOf(startedAt, usages)
}

/** From the upload to the end of the batch. */
async function asBatch(url: string, bodies: readonly BatchBody[]): Promise<Outcome> {
  const startedAt = performance.now()
  let batch = await startBatch(url, bodies)
  while (batch.output_file_id === null) {
    await sleep(50)
    batch = await findBatch(url, batch.id)
    if (batch.status === 'failed') throw new Error('the batch has failed')
  }
  const text = await (await fetch(`${url}/v1/files/${batch.output_file_id}/content`)).text()
  const results = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { response: { body: { usage: Usage } } })
  return outcomeOf(
    startedAt,
    results.map(({ response }) => response.body.usage),
  )
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** Runs `work` against a server that is started for it and ended behind it. */
async function withServer<Result>(
  commandOf: (port: string) => readonly string[],
  work: (url: string) => Promise<Result>,
): Promise<Result> {
  const port = await freePort()
  const [program, ...args] = commandOf(`${port}`)
  const child = spawn(program!, args, { stdio: 'ignore' })
  const closed = once(child, 'close')
  try {
    const url = `http://127.0.0.1:${port}`
    while (
      !(await fetch(`${url}/health`).then(
        ({ ok }) => ok,
        () => false,
      ))
    ) {
      if (child.exitCode !== null) throw new Error(`${program} ended`)
      await sleep(100)
    }
    return await work(url)
  } finally {
    child.kill('SIGTERM')
    await closed
  }
}

const dir = mkdtempSync(join(tmpdir(), 'batch-bench-'))
const ours = (port: string): string[] =>
  [
    process.execPath,
    '--import',
    'tsx',
    'src/cli/main.ts',
    'serve',
    model,
    '--port',
    port,
    '--log-level',
    'error',
  ].concat(
    ['--threads', values.threads, '--kv-cache-tokens', values['kv-cache-tokens'], '--data-dir', dir],
    ['--max-num-seqs', values['max-num-seqs']],
  )
const peer = (port: string): string[] =>
  [
    values.peer ?? '',
    '-m',
    model,
    '--port',
    port,
    '-t',
    values.threads,
    '-c',
    values['kv-cache-tokens'],
  ].concat(['-np', values.slots, '-fa', 'on'])

const bodies = makeBodies({
  requests: numRequests,
  groups: Number(values.groups),
  prefix: Number(values.prefix),
  suffix: Number(values.suffix),
  output: Number(values.output),
})
const runs: [string, () => Promise<Outcome>][] = [
  ['switchyard, as a batch', () => withServer(ours, (url) => asBatch(url, bodies))],
  ['switchyard, as traffic', () => withServer(ours, (url) => asTraffic(url, bodies))],
  ...(values.peer === undefined
    ? []
    : [
        ['llama-server, as traffic', () => withServer(peer, (url) => asTraffic(url, bodies))] as [
          string,
          () => Promise<Outcome>,
        ],
      ]),
]
process.stdout.write(
  '| requests | seconds | requests/s | prompt tokens from the cache | times a batch |\n|---|---:|---:|---:|---:|\n',
)
let first: number | undefined
for (const [name, measure] of runs) {
  const { seconds, promptTokens, cachedTokens } = await measure()
  first ??= seconds
  const cells = [name, seconds.toFixed(1), (numRequests / seconds).toFixed(2)]
  const share = `${Math.round((100 * cachedTokens) / promptTokens)} %`
  process.stdout.write(`| ${[...cells, share, (seconds / first).toFixed(2)].join(' | ')} |\n`)
}
rmSync(dir, { recursive: true, force: true })
