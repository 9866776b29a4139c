/**
 * What `--batch-invariant` costs: tokens per second with and without, interleaved in one run.
 *
 *   npx tsx bench/invariance-cost.ts --model FILE [-t 2] [--rounds 3]
 */
import { parseArgs } from 'node:util'
import { measureDecode, measurePrefill, openLoad, type Load } from './engine-load.ts'
import { median, table } from './report.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    threads: { type: 'string', short: 't', default: '2' },
    rounds: { type: 'string', default: '3' },
    batches: { type: 'string', default: '1,2,4,8,16,32' },
    steps: { type: 'string', default: '32' },
  },
})
if (values.model === undefined) throw new Error('usage: invariance-cost.ts --model FILE [-t 2] [--rounds 3]')
const batches = values.batches.split(',').map(Number)
const modes = ['without', 'with'] as const
const common = {
  modelPath: values.model,
  numThreads: Number(values.threads),
  maxNumSeqs: Math.max(...batches),
}
const loads = {
  without: await openLoad(common),
  with: await openLoad({ ...common, batchInvariant: true }),
}

const cases: [string, (load: Load) => Promise<number>][] = batches.map((batch) => [
  `decode, batch ${batch}`,
  async (load) =>
    (await measureDecode(load, batch, { promptTokens: 128, numSteps: Number(values.steps) })).tokensPerSecond,
])
cases.push(['prefill 512', (load) => measurePrefill(load, 512)])

const rows: string[][] = []
for (const [name, measure] of cases) {
  const results = { without: [] as number[], with: [] as number[] }
  for (const mode of modes) await measure(loads[mode])
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const order = round % 2 === 0 ? modes : modes.toReversed()
    for (const mode of order) results[mode].push(await measure(loads[mode]))
  }
  const [without, withIt] = [median(results.without), median(results.with)]
  rows.push([name, without.toFixed(1), withIt.toFixed(1), (withIt / without).toFixed(2)])
}
await Promise.all(Object.values(loads).map(({ client }) => client.close()))
process.stdout.write(table(['tokens/s', 'without', 'with', 'ratio'], rows))
