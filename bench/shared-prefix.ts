/**
 * Decode steps of sequences that share a prefix, attending together and alone, step by step in turn:
 *
 *   npx tsx bench/shared-prefix.ts --model FILE [-t 1] [--sharers 2,4,8,16,32] [--prefixes 512,1024,2048,4000]
 *     [--tail 64] [--rounds 5]
 *
 * Only the executor is measured. Prints tokens per second (best of the rounds, for a machine that is not idle) and
 * what the cost rule would choose.
 */
import { parseArgs } from 'node:util'
import { openGguf } from '../src/model/gguf-reader.ts'
import { checkModel } from '../src/model/model-spec.ts'
import { sharedAttentionCost, singleAttentionCost } from '../src/executor/attention-cost.ts'
import { blocksOf, blockSize, extent, fillPrefix, openExecutor, runStep, type Sequence } from './kv-load.ts'
import { table } from './report.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    threads: { type: 'string', short: 't', default: '1' },
    sharers: { type: 'string', default: '2,4,8,16,32' },
    prefixes: { type: 'string', default: '512,1024,2048,4000' },
    tail: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '5' },
  },
})
if (values.model === undefined) throw new Error('usage: shared-prefix.ts --model FILE [-t 1]')
const numbers = (list: string) => list.split(',').map(Number)
const prefixes = numbers(values.prefixes)
const counts = numbers(values.sharers)
const numThreads = Number(values.threads)
const tail = Number(values.tail)
const longest = Math.ceil(Math.max(...prefixes) / blockSize) * blockSize
const tailBlocks = blocksOf(tail + 1)
const common = {
  modelPath: values.model,
  numThreads,
  maxModelLen: longest + tailBlocks * blockSize,
  kvCacheTokens: longest + Math.max(...counts) * tailBlocks * blockSize,
}
const together = await openExecutor({ ...common, sharedAttention: 'always' })
const alone = await openExecutor({ ...common, sharedAttention: 'never' })
for (const executor of [together, alone]) await fillPrefix(executor, longest)

const gguf = openGguf(values.model)
const { hyperparameters } = checkModel(gguf)
gguf.close()
const machine = { ...hyperparameters, numThreads, maxGatheredTokens: 65_536 }

const rows: string[][] = []
for (const prefix of prefixes) {
  for (const count of counts) {
    const numShared = Math.floor(prefix / blockSize) * blockSize
    const sequences = Array.from({ length: count }, (_, index): Sequence => ({
      tokens: [index],
      position: numShared + tail,
      extents: [extent(0, numShared / blockSize), extent(blocksOf(longest) + index * tailBlocks, tailBlocks)],
    }))
    const best = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
    for (let round = 0; round <= Number(values.rounds); round++) {
      for (const [index, executor] of [together, alone].entries()) {
        const milliseconds = await runStep(executor, sequences)
        if (round > 0) best[index] = Math.min(best[index]!, milliseconds)
      }
    }
    const [shared, single] = best as [number, number]
    const tails = sequences.map(() => tail + 1)
    const predicted =
      (count * singleAttentionCost(machine, numShared + tail + 1)) /
      sharedAttentionCost(machine, { numSharedTokens: numShared, tails }).cost
    rows.push([
      `${numShared}`,
      `${count}`,
      ((count / single) * 1000).toFixed(1),
      ((count / shared) * 1000).toFixed(1),
      (single / shared).toFixed(2),
      predicted > 1 ? 'together' : 'alone',
    ])
  }
}
await together.close()
await alone.close()
process.stdout.write(
  table(['shared tokens', 'sequences', 'alone, tokens/s', 'together', 'ratio', 'rule says'], rows),
)
