/** Whole servers killed in the middle of a batch, and programs killed in the middle of a file. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import OpenAI, { toFile } from 'openai'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RandomStream } from '../../src/core/random.ts'
import { serverProcess, type ServerProcess } from '../support/kill-server.ts'

const numLines = 240
const engineArgs = ['--threads', '1', '--batch-invariant', '--max-num-seqs', '8', '--kv-cache-tokens', '4096']

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'batch-kill-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** Greedy requests in groups that share the first part of their prompts. */
const input = Array.from({ length: numLines }, (_, n) => {
  const system = `You are narrator number ${n % 6}. ${'Tell what happens, slowly and in order. '.repeat(8)}`
  return JSON.stringify({
    custom_id: `line-${n}`,
    method: 'POST',
    url: '/v1/chat/completions',
    body: {
      messages: [
        { role: 'system', content: system },
        { role: 'user', content: `Once there were ${n} cats.` },
      ],
      max_tokens: 8 + (n % 5) * 8,
      temperature: 0,
      ignore_eos: true,
    },
  })
}).join('\n')

const clientOf = ({ url }: ServerProcess) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 })

async function submit(client: OpenAI): Promise<string> {
  const file = await client.files.create({
    file: await toFile(Buffer.from(input), 'in.jsonl'),
    purpose: 'batch',
  })
  const batch = await client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  })
  return batch.id
}

async function waitFor(
  client: OpenAI,
  id: string,
  reached: (batch: OpenAI.Batch) => boolean,
): Promise<OpenAI.Batch> {
  for (;;) {
    const batch = await client.batches.retrieve(id)
    if (reached(batch)) return batch
    await sleep(10)
  }
}

const numDone = ({ request_counts: counts }: OpenAI.Batch) => (counts?.completed ?? 0) + (counts?.failed ?? 0)

/** The text of each line, by its id; fails when one has two results. */
function textsOf(jsonl: string): Map<string, string> {
  const texts = new Map<string, string>()
  for (const each of jsonl.trimEnd().split('\n')) {
    const { custom_id: id, response } = JSON.parse(each)
    expect(texts.has(id)).toBe(false)
    texts.set(id, response.body.choices[0].message.content)
  }
  return texts
}

let undisturbed: Map<string, string>

it('an undisturbed batch answers every line', async () => {
  const server = await serverProcess([...engineArgs, '--data-dir', join(dir, 'undisturbed')])
  const client = clientOf(server)
  const batch = await waitFor(client, await submit(client), ({ status }) => status === 'completed')
  undisturbed = textsOf(await (await client.files.content(batch.output_file_id!)).text())
  await server.kill()
  expect(undisturbed.size).toBe(numLines)
  expect(new Set(undisturbed.values()).size).toBeGreaterThan(numLines / 10)
})

it('a server that is killed ten times in a batch answers every line once, as if nothing had happened', async () => {
  const random = new RandomStream(Number(process.env['SEED'] ?? 7))
  const args = [...engineArgs, '--data-dir', join(dir, 'killed')]
  let server = await serverProcess(args)
  const id = await submit(clientOf(server))
  const doneAtKill: number[] = []
  for (let kill = 0; kill < 10; kill++) {
    // Somewhere in the next tenth of the batch, and at any moment of what is done there.
    const atLeast = Math.floor((kill + random.next()) * (numLines / 10.5))
    const batch = await waitFor(clientOf(server), id, (each) => numDone(each) >= atLeast)
    await sleep(random.next() * 150)
    await server.kill()
    doneAtKill.push(numDone(batch))
    server = await serverProcess(args)
  }
  const client = clientOf(server)
  const batch = await waitFor(client, id, ({ status }) => status === 'completed')
  const files = (await client.files.list()).data.map(({ purpose }) => purpose)
  const texts = textsOf(await (await client.files.content(batch.output_file_id!)).text())
  await server.kill()
  console.log(`killed after ${doneAtKill.join(', ')} of ${numLines} lines`)
  expect(batch.request_counts).toEqual({ total: numLines, completed: numLines, failed: 0 })
  expect(files.toSorted()).toEqual(['batch', 'batch_output'])
  expect(texts).toEqual(undisturbed)
  // The kills fell into the batch: few were sent before anything was done or after all of it.
  expect(doneAtKill.filter((done) => done > 0 && done < numLines).length).toBeGreaterThanOrEqual(8)
})

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const runArgs = (output: string) => [
  'batch',
  'run',
  join(dir, 'in.jsonl'),
  '--out',
  join(dir, output),
  ...engineArgs,
]

/** Starts the command; `numDone` of its lines tells from its folder, as no terminal shows it. */
function startRun(output: string) {
  writeFileSync(join(dir, 'in.jsonl'), input)
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...runArgs(output)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (piece: Buffer) => (text += piece.toString()))
  return { child, text: () => text, closed: once(child, 'close') as Promise<[number | null]> }
}

it('a file of requests is answered without a server, and again where it was stopped or killed', async () => {
  for (const signal of ['SIGINT', 'SIGKILL', 'SIGTERM'] as const) {
    const { child, text, closed } = startRun('out.jsonl')
    while (!existsSync(join(dir, 'out.jsonl.progress', 'switchyard.db-wal'))) await sleep(50)
    await sleep(2500)
    child.kill(signal)
    const [status] = await closed
    if (existsSync(join(dir, 'out.jsonl'))) break
    if (signal === 'SIGKILL') continue
    expect(status).toBe(130)
    expect(text()).toMatch(/Stopped after \d+ of \d+\. The same command goes on\./)
  }
  if (!existsSync(join(dir, 'out.jsonl'))) {
    const { text, closed } = startRun('out.jsonl')
    expect(await closed, text()).toEqual([0, null])
    expect(text()).toMatch(/out\.jsonl: 240 results\n$/)
  }
  const jsonl = readFileSync(join(dir, 'out.jsonl'), 'utf8')
  expect(textsOf(jsonl)).toEqual(undisturbed)
  expect([...textsOf(jsonl).keys()]).toEqual(Array.from({ length: numLines }, (_, n) => `line-${n}`))
  expect(existsSync(join(dir, 'out.jsonl.progress'))).toBe(false)
})

it('a file that cannot be run says which lines are wrong', async () => {
  writeFileSync(join(dir, 'bad.jsonl'), `${input.split('\n')[0]}\n${input.split('\n')[0]}\nnonsense\n`)
  const args = ['--import', 'tsx', main, 'batch', 'run', join(dir, 'bad.jsonl'), ...engineArgs]
  const stderr = await new Promise<string>((resolve) => {
    execFile(process.execPath, args, (_error, _stdout, text) => resolve(text))
  })
  expect(stderr).toMatch(/line 2: custom_id: Another line has the custom_id 'line-0'\./)
  expect(stderr).toMatch(/line 3: This line is not valid JSON\./)
})
