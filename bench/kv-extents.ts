/**
 * What attention over several extents costs: decode steps of one sequence whose KV lies in one piece, in two with a gap
 * between (as after a prefix hit), and in two that are gathered, step by step in turn:
 *
 *   npx tsx bench/kv-extents.ts --model FILE [-t 1] [--tokens 4000] [--rounds 7]
 */
import { parseArgs } from 'node:util'
import { blocksOf, blockSize, extent, fillPrefix, openExecutor, runStep } from './kv-load.ts'
import { table } from './report.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    threads: { type: 'string', short: 't', default: '1' },
    tokens: { type: 'string', default: '4000' },
    rounds: { type: 'string', default: '7' },
  },
})
if (values.model === undefined) throw new Error('usage: kv-extents.ts --model FILE [-t 1] [--tokens 4000]')
const numBlocks = blocksOf(Number(values.tokens))
const position = numBlocks * blockSize - 1
const head = Math.floor(numBlocks * 0.9)
const rest = numBlocks - head
const executor = await openExecutor({
  modelPath: values.model,
  numThreads: Number(values.threads),
  maxModelLen: numBlocks * blockSize,
  kvCacheTokens: 5 * numBlocks * blockSize,
})
await fillPrefix(executor, numBlocks * blockSize)

const split = (gap: number) => [extent(0, head), extent(head + gap, rest)]
const layouts: [string, ReturnType<typeof split>][] = [
  ['one extent', [extent(0, numBlocks)]],
  ...[0.05, 0.25, 0.5, 0.95].map((part): [string, ReturnType<typeof split>] => [
    `two, gap of ${part * 100} % of the tokens, masked span`,
    split(Math.round(numBlocks * part)),
  ]),
  ['two, far apart, gathered', split(4 * numBlocks - 1)],
]
const best = layouts.map(() => Number.POSITIVE_INFINITY)
for (let round = 0; round <= Number(values.rounds); round++) {
  for (const [index, [, extents]] of layouts.entries()) {
    const milliseconds = await runStep(executor, [{ tokens: [round], position, extents }])
    if (round > 0) best[index] = Math.min(best[index]!, milliseconds)
  }
}
await executor.close()
const rows = layouts.map(([name], index) => [
  name,
  best[index]!.toFixed(1),
  (best[index]! / best[0]!).toFixed(2),
])
process.stdout.write(table([`KV of ${position + 1} tokens`, 'ms a step', 'to one extent'], rows))
