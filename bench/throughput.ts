/**
 * Tokens per second of this engine beside llama.cpp's on the same file and the same threads, in one run:
 *
 *   npx tsx bench/throughput.ts --model FILE --peer PATH/llama-batched-bench [-t 2] [--rounds 3]
 *
 * Ours is measured through the engine's client with the real scheduler and sampler, so that all JavaScript counts;
 * the peer's loop feeds random tokens and samples nothing. Rounds alternate who goes first; the table has medians.
 */
import { parseArgs } from 'node:util'
import type { Carrier } from '../src/engine/create-engine.ts'
import { measureDecode, measurePrefill, openLoad, type DecodeResult, type Load } from './engine-load.ts'
import { runPeer } from './peer.ts'
import { median, table } from './report.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    peer: { type: 'string' },
    threads: { type: 'string', short: 't', default: '2' },
    rounds: { type: 'string', default: '3' },
    batches: { type: 'string', default: '1,2,4,8,16,32' },
    steps: { type: 'string', default: '64' },
    /** `in-process` counts delivery on the engine's own thread; `child` is how it is served. */
    carrier: { type: 'string', default: 'in-process' },
    device: { type: 'string', default: 'cpu' },
  },
})
const { model: modelPath, peer: program } = values
if (modelPath === undefined)
  throw new Error('usage: throughput.ts --model FILE [--peer PROGRAM] [-t 2] [--rounds 3]')
const numThreads = Number(values.threads)
const numRounds = Number(values.rounds)
const batches = values.batches.split(',').map(Number)
const numSteps = Number(values.steps)
const decodePrompt = 128
const longPrompt = 512

interface Measured {
  readonly ours: Map<number, DecodeResult[]>
  readonly peer: Map<number, number[]>
  readonly oursPrefill: number[]
  readonly peerPrefill: number[]
}

const measured: Measured = {
  ours: new Map(batches.map((batch) => [batch, []])),
  peer: new Map(batches.map((batch) => [batch, []])),
  oursPrefill: [],
  peerPrefill: [],
}

async function measureOurs(load: Load): Promise<void> {
  for (const batch of batches) {
    measured.ours.get(batch)!.push(await measureDecode(load, batch, { promptTokens: decodePrompt, numSteps }))
  }
  for (let repeat = 0; repeat < 3; repeat += 1) {
    measured.oursPrefill.push(await measurePrefill(load, longPrompt))
  }
}

async function measurePeer(peer: string, path: string): Promise<void> {
  const run = { program: peer, modelPath: path, numThreads }
  const decodes = await runPeer({ ...run, promptTokens: decodePrompt, generatedTokens: numSteps, batches })
  for (const { batch, decodeTokensPerSecond } of decodes)
    measured.peer.get(batch)!.push(decodeTokensPerSecond)
  const prefills = await runPeer({ ...run, promptTokens: longPrompt, generatedTokens: 1, batches: [1, 1, 1] })
  measured.peerPrefill.push(...prefills.map((result) => result.prefillTokensPerSecond))
}

function report(): string {
  const row = (name: string, ours: number, peer: number, host: readonly string[]): string[] => [
    name,
    ours.toFixed(1),
    peer.toFixed(1),
    (ours / peer).toFixed(2),
    ...host,
  ]
  const rows = batches.map((batch) => {
    const results = measured.ours.get(batch)!
    const of = (pick: (result: DecodeResult) => number): string =>
      (median(results.map(pick)) / 1000).toFixed(3)
    return row(
      `decode, batch ${batch}`,
      median(results.map((result) => result.tokensPerSecond)),
      median(measured.peer.get(batch)!),
      [
        of(({ hostPhases }) => hostPhases.schedule),
        of(({ hostPhases }) => hostPhases.build),
        of(({ hostPhases }) => hostPhases.sample),
        of(({ hostPhases }) => hostPhases.emit),
        of((result) => result.outsideCompute),
      ],
    )
  })
  rows.push(
    row(`prefill ${longPrompt}`, median(measured.oursPrefill), median(measured.peerPrefill), [
      '',
      '',
      '',
      '',
      '',
    ]),
  )
  return table(
    [
      'tokens/s',
      'ours',
      'peer',
      'ratio',
      'schedule ms',
      'build ms',
      'sample ms',
      'emit ms',
      'outside compute ms',
    ],
    rows,
  )
}

const load = await openLoad({
  modelPath,
  device: values.device as 'cpu',
  numThreads,
  maxNumSeqs: Math.max(...batches),
  carrier: values.carrier as Carrier,
})
await measureDecode(load, 1, { promptTokens: decodePrompt, numSteps: 8 })
for (let round = 0; round < numRounds; round += 1) {
  if (round % 2 === 0) await measureOurs(load)
  if (program !== undefined) await measurePeer(program, modelPath)
  if (round % 2 === 1) await measureOurs(load)
}
await load.client.close()
process.stdout.write(report())
