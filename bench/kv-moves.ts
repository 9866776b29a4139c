/**
 * What it costs to move blocks between the KV pool and a file, beside plain copies, writes and reads of as many bytes,
 * all in turn:
 *
 *   npx tsx bench/kv-moves.ts --model FILE [--dir DIR] [--blocks 16,64,256] [--rounds 15]
 *
 * First what a move is made of, each part by itself: the copy between pool and staging memory, the checksums, the calls
 * to the file. Then whole transfers, as an engine makes them, from another thread.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CarrierThread } from '../src/engine/carrier-thread.ts'
import { reserveFileSpace } from '../src/ggml/file-space.ts'
import type { Transfer, TransferOutcome } from '../src/kvcache/transfer.ts'
import { openTiers } from '../src/tiers/open-tiers.ts'
import { StagingMemory } from '../src/tiers/staging-memory.ts'
import { readAll, tierFile, writeAll } from '../src/tiers/tier-file.ts'
import { blockSize, extent, openExecutor } from './kv-load.ts'
import { median, table } from './report.ts'

type Way = readonly [name: string, move: () => Promise<void> | void]

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
    blocks: { type: 'string', default: '16,64,256' },
    rounds: { type: 'string', default: '15' },
  },
})
if (values.model === undefined) throw new Error('usage: kv-moves.ts --model FILE [--blocks 16,64,256]')
const counts = values.blocks.split(',').map(Number)
const most = Math.max(...counts)
const executor = await openExecutor({ modelPath: values.model, kvCacheTokens: 2 * most * blockSize })
const { blocks } = executor
const { bytesPerBlock } = blocks
const dir = mkdtempSync(join(values.dir, 'switchyard-bench-'))
try {
  process.stdout.write(await measure())
} finally {
  await executor.close()
  rmSync(dir, { recursive: true })
}

async function measure(): Promise<string> {
  const staging = new StagingMemory(bytesPerBlock, most * bytesPerBlock)
  const staged = staging.take(most * bytesPerBlock)
  const plain = [new Uint8Array(staged.length).fill(1), new Uint8Array(staged.length).fill(2)] as const
  await blocks.write([extent(0, most)], plain[0])
  await blocks.write([extent(most, most)], plain[0])
  const handle = await open(join(dir, 'plain'), 'w+')
  reserveFileSpace(handle.fd, staged.length)
  const file = tierFile(handle.fd)
  const carried = await openCarrier()
  const rows: string[][] = []
  for (const count of counts) {
    const numBytes = count * bytesPerBlock
    const part = plain[0].subarray(0, numBytes)
    const run = [extent(most - count, count)]
    const sum = (): void => {
      for (let block = 0; block < count; block += 1)
        staging.checksum(staged.subarray(block * bytesPerBlock, (block + 1) * bytesPerBlock), block)
    }
    const ways: readonly Way[] = [
      ['plain copy', () => plain[1].set(part)],
      ['pool to host', () => blocks.read(run, staged)],
      ['host to pool', () => blocks.write(run, staged)],
      ['checksum', sum],
      ['plain write', () => writeAll(file, part, 0)],
      ['transfer out', () => carried.carry('out', count)],
      ['plain read', () => readAll(file, part, 0)],
      ['transfer in', () => carried.carry('in', count)],
    ]
    rows.push([`${count} (${(numBytes / 2 ** 20).toFixed(0)} MiB)`, ...(await speedsOf(ways, numBytes))])
  }
  await carried.close()
  await handle.close()
  const header = [
    'copy',
    'pool to host',
    'host to pool',
    'checksum',
    'plain write',
    'out',
    'plain read',
    'in',
  ]
  return table(['blocks; GB/s', ...header, 'out of plain', 'in of plain'], rows)
}

/** Gigabytes a second of each way, and of the transfers against what is plain. */
async function speedsOf(ways: readonly Way[], numBytes: number): Promise<string[]> {
  const seconds = ways.map((): number[] => [])
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const [index, [, move]] of ways.entries()) {
      const startedAt = performance.now()
      await move()
      if (round > 0) seconds[index]!.push((performance.now() - startedAt) / 1000)
    }
  }
  const speeds = seconds.map((each) => numBytes / median(each) / 1e9)
  const [write, out, read, back] = speeds.slice(4) as [number, number, number, number]
  const shares = [out / write, back / read].map((share) => `${(100 * share).toFixed(0)} %`)
  return [...speeds.map((speed) => speed.toFixed(2)), ...shares]
}

/** What an engine has: a disk tier, and a thread that carries blocks. */
async function openCarrier() {
  const options = { hostBytes: 0, diskBytes: most * bytesPerBlock, diskDir: dir, diskKeep: false }
  const environment = { bytesPerBlock, identity: new Uint8Array(32), log: console.error, now: Date.now() }
  const tiers = await openTiers(options, { ...environment, reserveSpace: reserveFileSpace })
  let tell: (outcome: TransferOutcome) => void = () => undefined
  const fail = (error: unknown): never => {
    throw error
  }
  if (blocks.place === undefined) throw new Error('this benchmark moves blocks of a ggml executor')
  const carrier = new CarrierThread(
    { pool: blocks.place, places: tiers.places, pieceBytes: undefined },
    { onDone: (outcome) => tell(outcome), onFault: fail, onBroken: fail },
  )
  const carry = (kind: 'in' | 'out', count: number): Promise<void> =>
    new Promise((resolve, reject) => {
      tell = ({ isDone }) => (isDone[0]!.every(Boolean) ? resolve() : reject(new Error('a block was lost')))
      const slots = Array.from({ length: count }, (_, slot) => slot)
      const extents = [extent(most - count, count)]
      const transfer: Transfer = {
        id: 1,
        kind,
        reason: 'room',
        extents,
        numBlocks: count,
        seals: slots,
        slots: [slots],
      }
      carrier.start(transfer)
    })
  const close = async (): Promise<void> => {
    await carrier.close()
    await tiers.close(undefined, 0)
  }
  return { carry, close }
}
