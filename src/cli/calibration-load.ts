/** The load that a calibration puts on a server: every mixture of prompts and decodes that steps may be made of. */
import { replay, type ReplayOptions } from '../bench/replay.ts'
import type { RequestRecord } from '../bench/request-record.ts'
import type { Target } from '../bench/targets/target.ts'
import { findVocabulary } from '../bench/vocabulary.ts'
import { RandomStream } from '../core/random.ts'
import { micros, type Micros } from '../core/units.ts'
import { systemClock } from '../engine/system-clock.ts'
import { ContentIds } from '../workload/content.ts'
import type { Workload, WorkloadRequest } from '../workload/workload.ts'

export interface LoadOptions {
  readonly target: Target
  readonly maxModelLen: number
  readonly maxNumSeqs: number
  readonly kvTokens: number
  /** For all levels together. */
  readonly seconds: number
  readonly onLevel: (numUsers: number) => void
}

/** Requests one at a time, and when their client began to count. */
export interface AloneRecords {
  readonly startedAt: Micros
  readonly records: readonly RequestRecord[]
}

const blockSize = 512
const numAlone = 40
const mostPrompt = 4000
const mostOutput = 192

/** First requests one by one, then ever more users at once. Prompts are new each time: none finds another's KV. */
export async function runCalibrationLoad(options: LoadOptions): Promise<AloneRecords> {
  const random = new RandomStream(11)
  const vocabulary = await findVocabulary(options.target)
  options.onLevel(1)
  const signal = new AbortController().signal
  const alone = makeWorkload(options, random.split(0), numAlone)
  // The client's own clock starts with the call.
  const startedAt = systemClock.now()
  const records = await send(options, alone, { vocabulary, numUsers: 1, seed: 1, signal })
  const levels = levelsUpTo(options.maxNumSeqs)
  for (const [index, numUsers] of levels.entries()) {
    options.onLevel(numUsers)
    const workload = makeWorkload(options, random.split(index + 1), 64 * numUsers)
    const signal = AbortSignal.timeout(Math.round((options.seconds * 1000) / levels.length))
    await send(options, workload, { vocabulary, numUsers, seed: index + 2, signal })
  }
  return { startedAt, records }
}

function levelsUpTo(most: number): number[] {
  const levels = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256]
  return levels.filter((level) => level <= most)
}

function send(
  { target }: LoadOptions,
  workload: Workload,
  run: Pick<ReplayOptions, 'vocabulary' | 'seed' | 'signal'> & { readonly numUsers: number },
): Promise<readonly RequestRecord[]> {
  return replay({
    target,
    workload,
    vocabulary: run.vocabulary,
    seed: run.seed,
    loop: { kind: 'closed', numUsers: run.numUsers },
    history: 'trace',
    timeoutMs: 600_000,
    signal: run.signal,
  })
}

/** Many short prompts, some as long as may be: about half of the time goes to prompts, half to answers. */
function makeWorkload({ maxModelLen, kvTokens }: LoadOptions, random: RandomStream, count: number): Workload {
  const ids = new ContentIds()
  const longest = Math.max(2, Math.min(mostPrompt, maxModelLen - mostOutput - 1, Math.floor(kvTokens / 4)))
  const requests = Array.from({ length: count }, (): WorkloadRequest => {
    const numPromptTokens = Math.max(1, Math.floor(longest ** (random.next() ** 2)))
    return {
      arrival: micros(0),
      tenant: 'calibration',
      program: undefined,
      turn: 0,
      gap: micros(0),
      gapKind: undefined,
      numPromptTokens,
      numOutputTokens: 2 + random.below(mostOutput - 2),
      blocks: ids.take(Math.ceil(numPromptTokens / blockSize)),
      serviceClass: 'default',
    }
  })
  return { name: 'calibration', blockSize, requests, provenance: [] }
}
