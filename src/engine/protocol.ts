import type { FinishReason, GenerationRequest } from '../core/request.ts'
import type { TokenLogprobs } from '../core/sampling-params.ts'
import type { RequestId } from '../core/units.ts'
import type { SequenceTimings } from './engine-client.ts'

/** Messages between an engine and whoever uses it; structured-cloneable. One message a step, all sequences together. */
export type ToEngine =
  | { readonly type: 'submit'; readonly requests: readonly GenerationRequest[] }
  | { readonly type: 'cancel'; readonly ids: readonly RequestId[] }
  | { readonly type: 'close' }

export type FromEngine =
  | { readonly type: 'loading'; readonly progress: number }
  | { readonly type: 'ready'; readonly info: EngineInfo }
  | { readonly type: 'failed'; readonly code: string; readonly message: string }
  | { readonly type: 'step'; readonly updates: readonly SequenceUpdate[]; readonly stats: EngineStats }

/** What one step did to one sequence. */
export interface SequenceUpdate {
  readonly id: RequestId
  readonly tokenIds: readonly number[]
  readonly logprobs: readonly TokenLogprobs[] | undefined
  readonly finish:
    | {
        readonly reason: FinishReason
        readonly error:
          | { readonly code: 'PROMPT_TOO_LONG' | 'ENGINE_FAILED' | 'INTERNAL'; readonly message: string }
          | undefined
        readonly timings: SequenceTimings
      }
    | undefined
}

export interface EngineInfo {
  readonly vocabSize: number
  readonly maxModelLen: number
  readonly blockSize: number
  readonly numBlocks: number
  readonly kvBytesPerToken: number
  readonly endTokenIds: readonly number[]
  readonly architecture: string
  readonly device: string
  readonly numThreads: number
  /** Process id of the engine; the API's own in the in-process carrier. */
  readonly pid: number
}

/** A snapshot after one step; counters ever grow while the engine lives. */
export interface EngineStats {
  readonly step: number
  readonly numRunning: number
  readonly numWaiting: number
  readonly numBlocks: number
  readonly numFreeBlocks: number
  readonly numPreemptionsTotal: number
  /** Tokens in this step, by kind. */
  readonly numPrefillTokens: number
  readonly numDecodeTokens: number
  /** Where this step's time went. */
  readonly phases: StepPhases
}

/** Microseconds of one step, by phase. They add up to the step. */
export interface StepPhases {
  readonly schedule: number
  readonly build: number
  readonly compute: number
  readonly sample: number
  readonly emit: number
}
