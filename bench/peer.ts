import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** What `llama-batched-bench` reports of one combination of prompt length, generated tokens and batch. */
export interface PeerResult {
  readonly batch: number
  readonly prefillTokensPerSecond: number
  readonly decodeTokensPerSecond: number
}

export interface PeerRun {
  readonly program: string
  readonly modelPath: string
  readonly numThreads: number
  readonly promptTokens: number
  readonly generatedTokens: number
  readonly batches: readonly number[]
}

/** Runs the peer once over all batches. Rejects when it fails or leaves a batch out. */
export async function runPeer(run: PeerRun): Promise<PeerResult[]> {
  // Each sequence has its own cache there, in multiples of 256 tokens.
  const perSequence = Math.ceil((run.promptTokens + run.generatedTokens) / 256) * 256
  const { stdout } = await promisify(execFile)(
    run.program,
    Object.entries({
      '-m': run.modelPath,
      '-t': run.numThreads,
      '-npp': run.promptTokens,
      '-ntg': run.generatedTokens,
      '-npl': run.batches.join(','),
      '-c': perSequence * Math.max(...run.batches),
      '-b': 2048,
      '-ub': 512,
      '-fa': 'on',
      '--output-format': 'jsonl',
    }).flatMap(([flag, value]) => [flag, String(value)]),
    { maxBuffer: 2 ** 26 },
  )
  const results = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map(parseResult)
  if (results.length !== run.batches.length)
    throw new Error(`${run.program} reported ${results.length} batches`)
  return results
}

function parseResult(line: string): PeerResult {
  const { pl, speed_pp, speed_tg } = JSON.parse(line) as { pl: number; speed_pp: number; speed_tg: number }
  return { batch: pl, prefillTokensPerSecond: speed_pp, decodeTokensPerSecond: speed_tg }
}
