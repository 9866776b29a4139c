/**
 * Steps with one chunk of a prompt, whose attention stacks its queries where the cost rule says that it pays, and never,
 * step by step in turn:
 *
 *   npx tsx bench/chunks.ts --model FILE [-t 2] [--chunks 8,16,32,63,64,128] [--contexts 500,2000,8000] [--rounds 5]
 *
 * Only the executor is measured: milliseconds a step, median of the rounds.
 */
import { parseArgs } from 'node:util'
import { blocksOf, blockSize, extent, fillPrefix, openExecutor, runStep } from './kv-load.ts'
import { median, table } from './report.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    threads: { type: 'string', short: 't', default: '2' },
    chunks: { type: 'string', default: '2,4,8,16,32,63,64,128,256' },
    contexts: { type: 'string', default: '500,2000,8000' },
    rounds: { type: 'string', default: '5' },
    cache: { type: 'string', default: 'f16' },
  },
})
if (values.model === undefined) throw new Error('usage: chunks.ts --model FILE [-t 2] [--chunks 8,16,32]')
const numbers = (list: string) => list.split(',').map(Number)
const chunks = numbers(values.chunks)
const contexts = numbers(values.contexts)
const numBlocks = blocksOf(Math.max(...contexts) + Math.max(...chunks))
const cacheType = values.cache as 'f16'
const common = {
  modelPath: values.model,
  numThreads: Number(values.threads),
  maxModelLen: numBlocks * blockSize,
  kvCacheTokens: numBlocks * blockSize,
  cacheTypeK: cacheType,
  cacheTypeV: cacheType,
}
const stacked = await openExecutor(common)
const plain = await openExecutor({ ...common, stackedChunks: false })
const executors = [stacked, plain]
for (const executor of executors) await fillPrefix(executor, numBlocks * blockSize)

const rows: string[][] = []
for (const position of contexts) {
  for (const length of chunks) {
    const tokens = Array.from({ length }, (_, index) => index + 1)
    const times = executors.map((): number[] => [])
    for (let round = 0; round <= Number(values.rounds); round++) {
      for (const [index, executor] of executors.entries()) {
        const milliseconds = await runStep(executor, [{ tokens, position, extents: [extent(0, numBlocks)] }])
        if (round > 0) times[index]!.push(milliseconds)
      }
    }
    const [ours, before] = times.map(median) as [number, number]
    rows.push([`${position}`, `${length}`, before.toFixed(1), ours.toFixed(1), (before / ours).toFixed(2)])
  }
}
for (const executor of executors) await executor.close()
process.stdout.write(table(['context', 'chunk', 'plain ms', 'stacked ms', 'ratio'], rows))
