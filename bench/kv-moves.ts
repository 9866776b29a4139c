/**
 * Bytes per second of moving blocks between the KV pool and host memory, beside a plain copy of the same size, in turn:
 *
 *   npx tsx bench/kv-moves.ts --model FILE [--blocks 4,32,256] [--rounds 9]
 */
import { parseArgs } from 'node:util'
import { GgmlExecutor } from '../src/executor/ggml-executor.ts'
import { blockSize, extent, openExecutor } from './kv-load.ts'
import { median, table } from './report.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    blocks: { type: 'string', default: '4,32,256' },
    rounds: { type: 'string', default: '9' },
  },
})
if (values.model === undefined) throw new Error('usage: kv-moves.ts --model FILE [--blocks 4,32,256]')
const counts = values.blocks.split(',').map(Number)
const most = Math.max(...counts)
const executor = await openExecutor({ modelPath: values.model, kvCacheTokens: 2 * most * blockSize })
if (!(executor instanceof GgmlExecutor)) throw new Error('this benchmark moves blocks of a ggml executor')
const { blocks } = executor
const staging = new Uint8Array(most * blocks.bytesPerBlock)
const plain = [new Uint8Array(staging.length).fill(1), new Uint8Array(staging.length).fill(2)] as const
await blocks.write([extent(0, most)], staging)

const rows: string[][] = []
for (const count of counts) {
  const numBytes = count * blocks.bytesPerBlock
  const ways: [string, () => Promise<void> | void][] = [
    ['plain', () => plain[0].set(plain[1].subarray(0, numBytes))],
    ['out', () => blocks.read([extent(most - count, count)], staging)],
    ['in', () => blocks.write([extent(most - count, count)], staging)],
    [
      'within',
      () => {
        const copies = Array.from({ length: count }, (_, index) => ({
          from: extent(index, 1).start,
          to: extent(most + index, 1).start,
          numTokens: blockSize,
        }))
        blocks.copy(copies)
      },
    ],
  ]
  const speeds = ways.map((): number[] => [])
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const [index, [, move]] of ways.entries()) {
      const start = performance.now()
      await move()
      if (round > 0) speeds[index]!.push(numBytes / (performance.now() - start) / 1e6)
    }
  }
  const medians = speeds.map(median)
  rows.push([
    `${count} (${(numBytes / 2 ** 20).toFixed(1)} MiB)`,
    ...medians.map((speed) => speed.toFixed(1)),
    ...medians.slice(1).map((speed) => `${((100 * speed) / medians[0]!).toFixed(0)} %`),
  ])
}
await executor.close()
process.stdout.write(
  table(
    ['blocks', 'plain copy, GB/s', 'out', 'in', 'within', 'out to plain', 'in to plain', 'within to plain'],
    rows,
  ),
)
