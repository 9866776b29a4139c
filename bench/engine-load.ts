/** Loads an engine through its client, as the API does, and times what comes back. */
import { greedySampling } from '../src/core/sampling-params.ts'
import { plainTerms, type GenerationRequest } from '../src/core/request.ts'
import { RandomStream } from '../src/core/random.ts'
import { micros, toRequestId } from '../src/core/units.ts'
import { createEngine, type Carrier } from '../src/engine/create-engine.ts'
import type { EngineClient } from '../src/engine/engine-client.ts'
import type { StepPhases } from '../src/engine/protocol.ts'
import { median } from './report.ts'

export interface DecodeResult {
  readonly tokensPerSecond: number
  /** Medians over the steps, in microseconds: host work by phase, and all time that no kernel ran. */
  readonly hostPhases: Omit<StepPhases, 'compute'>
  readonly outsideCompute: number
}

export interface Load {
  readonly client: EngineClient
  readonly random: RandomStream
  readonly vocabSize: number
}

export interface LoadOptions {
  readonly modelPath: string
  readonly numThreads: number
  readonly maxNumSeqs: number
  readonly device?: 'cpu'
  readonly carrier?: Carrier
  readonly batchInvariant?: boolean
}

/** Starts an engine with 1,024 tokens of KV for each sequence. The caller closes `client`. */
export async function openLoad(options: LoadOptions): Promise<Load> {
  const { modelPath, numThreads, maxNumSeqs, batchInvariant = false } = options
  const maxModelLen = 1024
  const client = createEngine(
    {
      executor: {
        kind: 'ggml',
        modelPath,
        device: options.device ?? 'cpu',
        numThreads,
        maxModelLen,
        kvCacheTokens: maxNumSeqs * maxModelLen,
        blockSize: 32,
        cacheTypeK: 'f16',
        cacheTypeV: 'f16',
        batchInvariant,
        maxNumSeqs,
        maxNumBatchedTokens: 512,
      },
      scheduler: { maxNumSeqs, maxNumBatchedTokens: 512, maxTbtMs: undefined, policy: 'fcfs' },
    },
    options.carrier ?? 'in-process',
  )
  const { vocabSize } = await client.ready()
  return { client, random: new RandomStream(1), vocabSize }
}

let numRequests = 0

function makeRequest(load: Load, promptTokens: number, maxTokens: number): GenerationRequest {
  numRequests += 1
  return {
    id: toRequestId(`bench-${numRequests}`),
    promptTokens: Array.from({ length: promptTokens }, () => load.random.below(load.vocabSize)),
    outputTokens: [],
    sampling: greedySampling,
    maxTokens,
    stopTokenIds: [],
    ignoreEos: true,
    ...plainTerms,
    arrivedAt: micros(0),
  }
}

/** Runs a request to its end or its cancellation. Rejects when it fails. */
function run(load: Load, request: GenerationRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    load.client.submit(request, (event) => {
      if (event.kind !== 'finished') return
      if (event.error === undefined) resolve()
      else reject(new Error(event.error.message))
    })
  })
}

/** Tokens per second of a lone prompt, from submission to its first output token. */
export async function measurePrefill(load: Load, promptTokens: number): Promise<number> {
  const request = makeRequest(load, promptTokens, 1)
  const startedAt = performance.now()
  await run(load, request)
  return (promptTokens / (performance.now() - startedAt)) * 1000
}

/** Decodes `batch` sequences together for `numSteps` steps in which nothing else happens. */
export async function measureDecode(
  load: Load,
  batch: number,
  shape: { readonly promptTokens: number; readonly numSteps: number },
): Promise<DecodeResult> {
  // Prompts are prefilled over many steps: the first sequences are some tokens ahead when the last one starts.
  const maxTokens = 4 * shape.numSteps + 4 * batch
  const requests = Array.from({ length: batch }, () => makeRequest(load, shape.promptTokens, maxTokens))
  const ended = requests.map((request) => run(load, request))
  const steps = await Promise.race([recordSteps(load.client, batch, shape.numSteps), failureOf(ended)])
  for (const { id } of requests) load.client.cancel(id)
  await Promise.all(ended)
  return summarise(batch, steps)
}

interface RecordedStep {
  readonly endedAt: number
  readonly phases: StepPhases
}

/** `numSteps` steps in a row that decoded `batch` sequences, after one that marks their start. */
function recordSteps(client: EngineClient, batch: number, numSteps: number): Promise<RecordedStep[]> {
  return new Promise((resolve) => {
    let steps: RecordedStep[] = []
    const stop = client.onStep((stats) => {
      const isPlain = stats.numDecodeTokens === batch && stats.numPrefillTokens === 0
      if (!isPlain) steps = []
      else steps.push({ endedAt: performance.now(), phases: stats.phases })
      if (steps.length <= numSteps) return
      stop()
      resolve(steps)
    })
  })
}

/** Settles only by rejecting: when a sequence fails, or when all end before enough steps were seen. */
async function failureOf(ended: readonly Promise<void>[]): Promise<never> {
  await Promise.all(ended)
  throw new Error('the sequences ended before the measurement did')
}

function summarise(batch: number, steps: readonly RecordedStep[]): DecodeResult {
  const timed = steps.slice(1)
  const duration = steps.at(-1)!.endedAt - steps[0]!.endedAt
  const phase = (name: keyof StepPhases): number => median(timed.map(({ phases }) => phases[name]))
  const outside = timed.map(
    ({ endedAt, phases }, index) => (endedAt - steps[index]!.endedAt) * 1000 - phases.compute,
  )
  return {
    tokensPerSecond: (batch * timed.length * 1000) / duration,
    hostPhases: {
      schedule: phase('schedule'),
      build: phase('build'),
      sample: phase('sample'),
      emit: phase('emit'),
    },
    outsideCompute: median(outside),
  }
}
