/**
 * What a step costs more when its sequences keep to a schema of 30 fields: steps of one engine with and without it,
 * in turns, a batch of decodes each time. The first round with it also finds the masks.
 *
 *   npx tsx bench/structured-output.ts MODEL [--batch 8] [--rounds 4] [--tokens 200] [--threads 2] [--temperature 0.8]
 */
import { parseArgs } from 'node:util'
import { createEngine } from '../src/engine/create-engine.ts'
import { createRequest } from '../test/support/generate.ts'
import { median, table } from './report.ts'
import { thirtyFields } from './structured-schemas.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '4' },
    tokens: { type: 'string', default: '200' },
    threads: { type: 'string', default: '2' },
    temperature: { type: 'string', default: '0.8' },
  },
})
const [modelPath] = positionals
if (modelPath === undefined) throw new Error('usage: structured-output.ts MODEL [--batch 8] [--rounds 4]')
const batch = Number(values.batch)

const startedAt = performance.now()
const engine = createEngine({
  executor: {
    kind: 'ggml',
    modelPath,
    device: 'cpu',
    numThreads: Number(values.threads),
    maxModelLen: 1024,
    kvCacheTokens: 1024 * batch,
    blockSize: 32,
    cacheTypeK: 'f16',
    cacheTypeV: 'f16',
    batchInvariant: false,
    maxNumSeqs: batch,
    maxNumBatchedTokens: 512,
  },
  scheduler: { maxNumSeqs: batch, maxNumBatchedTokens: 512, maxTbtMs: undefined, policy: 'fcfs' },
})
await engine.ready()
console.log(`ready after ${((performance.now() - startedAt) / 1000).toFixed(2)} s`)

interface Round {
  readonly stepMicros: readonly number[]
  readonly sampleMicros: readonly number[]
  readonly emitMicros: readonly number[]
}

/** All steps of a round in which everybody decodes. */
async function run(round: number, isStructured: boolean): Promise<Round> {
  const steps: { step: number; sample: number; emit: number }[] = []
  const stop = engine.onStep(({ numDecodeTokens, numPrefillTokens, phases }) => {
    if (numDecodeTokens !== batch || numPrefillTokens > 0) return
    const { schedule, build, compute, sample, emit } = phases
    steps.push({ step: schedule + build + compute + sample, sample, emit })
  })
  await Promise.all(
    Array.from({ length: batch }, (_, index) => {
      const request = createRequest({
        id: `${isStructured}-${round}-${index}`,
        promptTokens: Array.from({ length: 16 }, (_, place) => 1000 + index * 50 + place),
        maxTokens: Number(values.tokens),
        // Both go on to the same length.
        ignoreEos: true,
        sampling: { temperature: Number(values.temperature), seed: round * 100 + index },
        ...(isStructured ? { grammar: { kind: 'jsonSchema' as const, schema: thirtyFields } } : {}),
      })
      return new Promise<void>((resolve, reject) =>
        engine.submit(request, (event) => {
          if (event.kind !== 'finished') return
          if (event.error === undefined) resolve()
          else reject(new Error(event.error.message))
        }),
      )
    }),
  )
  stop()
  const column = (key: 'step' | 'sample' | 'emit') => steps.map((step) => step[key])
  return { stepMicros: column('step'), sampleMicros: column('sample'), emitMicros: column('emit') }
}

const mean = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length
const millis = (micros: number): string => (micros / 1000).toFixed(2)

await run(-1, false)
const rows: string[][] = []
const overheads: number[] = []
for (let round = 0; round < Number(values.rounds); round += 1) {
  const free = await run(round, false)
  const kept = await run(round, true)
  const overhead = mean(kept.stepMicros) / mean(free.stepMicros) - 1
  overheads.push(overhead)
  rows.push([
    round === 0 ? 'first (finds masks)' : `${round + 1}`,
    millis(mean(free.stepMicros)),
    millis(mean(kept.stepMicros)),
    `${(overhead * 100).toFixed(1)} %`,
    millis(mean(free.sampleMicros)),
    millis(mean(kept.sampleMicros)),
    millis(mean(kept.emitMicros)),
    millis(Math.max(...kept.emitMicros)),
  ])
}
const names = ['step ms', 'with schema', 'more', 'sampling ms', 'with schema', 'masks ms', 'slowest']
process.stdout.write(table(['round', ...names], rows))
console.log(`median of the rounds after the first: ${(median(overheads.slice(1)) * 100).toFixed(1)} %`)
await engine.close()
