/**
 * Conversations that have no room together in the pool:
 *
 *   npx tsx bench/kv-swapping.ts --model FILE [--dir DIR] [--pool 8192] [--conversations 4] [--prompt 6000] [--answer 64] [--ways 1234]
 *     [--peer PATH/llama-server]
 *
 * Each of two turns, over a pool that is large enough, over one that is too small, without and with a disk tier, and on
 * llama-server with one context of that size for all. What a move costs by itself: `kv-moves.ts`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { createEngine } from '../src/engine/create-engine.ts'
import type { TierOptions } from '../src/tiers/open-tiers.ts'
import { generate } from '../test/support/generate.ts'
import { blockSize } from './kv-load.ts'
import { withServer } from './local-server.ts'
import { table } from './report.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
    pool: { type: 'string', default: '8192' },
    conversations: { type: 'string', default: '4' },
    prompt: { type: 'string', default: '6000' },
    answer: { type: 'string', default: '64' },
    threads: { type: 'string', default: '2' },
    ways: { type: 'string', default: '1234' },
    peer: { type: 'string' },
  },
})
if (values.model === undefined) throw new Error('usage: kv-swapping.ts --model FILE')
const modelPath = values.model
const completion = z.object({ tokens: z.array(z.number()) })
const numConversations = Number(values.conversations)
const numTokens = Number(values.prompt)
const dir = mkdtempSync(join(values.dir, 'switchyard-bench-'))
try {
  process.stdout.write(await conversations())
} finally {
  rmSync(dir, { recursive: true })
}

interface Conversed {
  readonly numFinished: number
  /** Of each turn, and of both together. */
  readonly seconds: readonly number[]
}

/** Two turns of all conversations at once. `ask` answers with tokens; undefined where it fails, which ends that one. */
async function converse(
  ask: (id: string, promptTokens: readonly number[]) => Promise<readonly number[] | undefined>,
): Promise<Conversed> {
  let histories = Array.from({ length: numConversations }, (_, who) =>
    Array.from({ length: numTokens }, (_, index) => ((index * 7 + who * 131) % 1000) + 10),
  )
  let numFinished = 0
  const seconds: number[] = []
  for (const turn of [1, 2]) {
    const startedAt = performance.now()
    const answers = await Promise.all(histories.map((history, who) => ask(`${turn}-${who}`, history)))
    seconds.push((performance.now() - startedAt) / 1000)
    numFinished += answers.filter((answer) => answer !== undefined).length
    histories = histories.flatMap((history, who) => {
      const answer = answers[who]
      return answer === undefined ? [] : [[...history, ...answer]]
    })
  }
  return { numFinished, seconds: [...seconds, seconds.reduce((sum, each) => sum + each)] }
}

async function conversations(): Promise<string> {
  const enough = numConversations * (numTokens + 4 * Number(values.answer) + 2 * blockSize)
  const disk = { hostBytes: 0, diskBytes: 4 * 2 ** 30, diskDir: dir, diskKeep: false }
  const pool = Number(values.pool)
  const ways: readonly (() => Promise<string[]>)[] = [
    () => oursRow('large pool', enough, undefined),
    () => oursRow(`${pool} tokens, recompute`, pool, undefined),
    () => oursRow(`${pool} tokens, disk`, pool, disk),
    ...(values.peer === undefined ? [] : [() => peerRow(values.peer!, pool)]),
  ]
  const rows: string[][] = []
  for (const [index, way] of ways.entries()) {
    if (values.ways.includes(`${index + 1}`)) rows.push(await way())
  }
  const header = ['pool', 'finished', 'turn 1, s', 'turn 2, s', 'together, s', 'preempted', 'moved, MB']
  return table([...header, 'steps that waited', 'waited, ms'], rows)
}

async function oursRow(
  name: string,
  kvCacheTokens: number,
  tiers: TierOptions | undefined,
): Promise<string[]> {
  const engine = createEngine({
    executor: {
      kind: 'ggml',
      modelPath,
      device: 'cpu',
      numThreads: Number(values.threads),
      maxModelLen: undefined,
      kvCacheTokens: Math.ceil(kvCacheTokens / blockSize) * blockSize,
      blockSize,
      cacheTypeK: 'f16',
      cacheTypeV: 'f16',
      batchInvariant: false,
      maxNumSeqs: 16,
      maxNumBatchedTokens: 512,
    },
    scheduler: { maxNumSeqs: 16, maxNumBatchedTokens: 512, maxTbtMs: undefined, policy: 'fcfs' },
    eviction: 'value',
    tiers,
  })
  await engine.ready()
  const conversed = await converse(async (id, promptTokens) => {
    const maxTokens = Number(values.answer)
    const { tokens, finish } = await generate(engine, { id, promptTokens, maxTokens, ignoreEos: true })
    return finish.reason === 'length' ? tokens : undefined
  })
  const { step, swap, numPreemptionsTotal } = engine.stats!
  await engine.close()
  const moved = swap && Object.values(swap.movedBytes).reduce((sum, bytes) => sum + bytes, 0)
  return [
    ...firstCells(name, conversed),
    `${numPreemptionsTotal}`,
    moved === undefined ? '' : (moved / 1e6).toFixed(0),
    swap === undefined ? '' : `${((100 * swap.numWaitedSteps) / step).toFixed(1)} %`,
    swap === undefined ? '' : (swap.waitedMicros / 1000).toFixed(0),
  ]
}

async function peerRow(program: string, pool: number): Promise<string[]> {
  const context = ['-c', `${pool}`, '-np', `${numConversations}`, '-kvu']
  const args = ['-m', modelPath, '-t', values.threads, ...context]
  const conversed = await withServer({ name: 'llama-server', program, args }, ({ endpoint }) =>
    converse(async (_, prompt) => {
      const options = { n_predict: Number(values.answer), ignore_eos: true, temperature: 0 }
      const response = await fetch(`${endpoint.url}/completion`, {
        method: 'POST',
        body: JSON.stringify({ prompt, ...options, return_tokens: true }),
      })
      return completion.safeParse(await response.json()).data?.tokens
    }),
  )
  return [...firstCells(`llama-server, ${pool} tokens`, conversed), '', '', '', '']
}

function firstCells(name: string, { numFinished, seconds }: Conversed): string[] {
  process.stderr.write(`${name}: ${numFinished} finished, ${seconds.join(', ')} s\n`)
  return [name, `${numFinished} of ${2 * numConversations}`, ...seconds.map((each) => each.toFixed(1))]
}
