/**
 * What it costs to move KV to disk and back, and conversations that have no room together in the pool:
 *
 *   npx tsx bench/kv-swapping.ts --model FILE [--dir DIR] [--blocks 64,256] [--rounds 7]
 *     [--pool 8192] [--conversations 4] [--prompt 6000] [--answer 64] [--ways 1234]
 *     [--peer PATH/llama-server]
 *
 * First bytes per second of whole transfers (pool, staging, checksum, file) beside a plain write and read of as many
 * bytes with the same calls, in turn. Then the conversations, each of two turns, over a pool that is large enough, over
 * one that is too small, without and with a disk tier, and on llama-server with one context of that size for all.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { createEngine } from '../src/engine/create-engine.ts'
import { reserveFileSpace } from '../src/ggml/file-space.ts'
import type { Transfer, TransferOutcome } from '../src/kvcache/transfer.ts'
import { BlockCarrier } from '../src/tiers/block-carrier.ts'
import { openTiers, type TierOptions } from '../src/tiers/open-tiers.ts'
import { readAll, tierFile, writeAll } from '../src/tiers/tier-file.ts'
import { generate } from '../test/support/generate.ts'
import { blockSize, extent, openExecutor } from './kv-load.ts'
import { withServer } from './local-server.ts'
import { median, table } from './report.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
    blocks: { type: 'string', default: '64,256' },
    rounds: { type: 'string', default: '7' },
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
  process.stdout.write(await moves())
  process.stdout.write(await conversations())
} finally {
  rmSync(dir, { recursive: true })
}

async function moves(): Promise<string> {
  const counts = values.blocks.split(',').map(Number)
  const most = Math.max(...counts)
  const executor = await openExecutor({ modelPath, kvCacheTokens: 2 * most * blockSize })
  const { bytesPerBlock } = executor.blocks
  const diskBytes = most * bytesPerBlock
  const options = { hostBytes: 0, diskBytes, diskDir: dir, diskKeep: false }
  const environment = { bytesPerBlock, identity: new Uint8Array(32), log: console.error, now: Date.now() }
  const tiers = await openTiers(options, { ...environment, reserveSpace: reserveFileSpace })
  let tell: (outcome: TransferOutcome) => void = () => undefined
  const carrier = new BlockCarrier({
    memory: executor.blocks,
    tiers: tiers.tiers,
    onDone: (outcome) => tell(outcome),
    onBroken: (error) => {
      throw error
    },
  })
  const carry = (kind: 'in' | 'out', count: number): Promise<void> =>
    new Promise((resolve, reject) => {
      tell = ({ isDone }) => (isDone[0]!.every(Boolean) ? resolve() : reject(new Error('a block was lost')))
      const slots = Array.from({ length: count }, (_, slot) => slot)
      const transfer: Transfer = {
        id: 1,
        kind,
        reason: 'room',
        extents: [extent(most - count, count)],
        numBlocks: count,
        seals: slots,
        slots: [slots],
      }
      carrier.start(transfer)
    })
  const handle = await open(join(dir, 'plain'), 'w+')
  reserveFileSpace(handle.fd, diskBytes)
  const file = tierFile(handle)
  const plain = new Uint8Array(diskBytes).fill(1)
  const rows: string[][] = []
  for (const count of counts) {
    const part = plain.subarray(0, count * bytesPerBlock)
    const ways = [
      () => writeAll(file, part, 0),
      () => carry('out', count),
      () => readAll(file, part, 0),
      () => carry('in', count),
    ]
    const speeds = ways.map((): number[] => [])
    for (let round = 0; round <= Number(values.rounds); round++) {
      for (const [index, way] of ways.entries()) {
        const startedAt = performance.now()
        await way()
        if (round > 0) speeds[index]!.push(part.length / (performance.now() - startedAt) / 1e6)
      }
    }
    const [write, out, read, back] = speeds.map(median) as [number, number, number, number]
    const share = (speed: number, of: number) => `${((100 * speed) / of).toFixed(0)} %`
    rows.push([
      `${count} (${(part.length / 2 ** 20).toFixed(0)} MiB)`,
      ...[write, out].map((speed) => speed.toFixed(2)),
      share(out, write),
      ...[read, back].map((speed) => speed.toFixed(2)),
      share(back, read),
    ])
  }
  await carrier.close()
  await tiers.close(undefined, 0)
  await handle.close()
  await executor.close()
  return table(['blocks', 'plain write, GB/s', 'out', 'of plain', 'plain read, GB/s', 'in', 'of plain'], rows)
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
