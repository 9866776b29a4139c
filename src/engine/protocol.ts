import type { ErrorCode } from '../core/errors.ts'
import type { FinishReason, GenerationRequest } from '../core/request.ts'
import type { TokenLogprobs } from '../core/sampling-params.ts'
import type { Micros, RequestId } from '../core/units.ts'
import type { KvStats } from '../kvcache/kv-stats.ts'
import type { SwapStats } from '../kvcache/swap-stats.ts'
import type { SequenceError, SequenceTimings } from './engine-client.ts'
import type { EngineOptions } from './engine-options.ts'

/** Messages between an engine and whoever uses it; structured-cloneable. One message a step, all sequences together. */
export type ToEngine =
  /** The first message. Nothing else may come before the engine is ready, except `close`. */
  | { readonly type: 'start'; readonly options: EngineOptions }
  | { readonly type: 'submit'; readonly requests: readonly GenerationRequest[] }
  | { readonly type: 'cancel'; readonly ids: readonly RequestId[] }
  | { readonly type: 'tool-call'; readonly id: RequestId; readonly tool: string }
  | { readonly type: 'close' }

export type FromEngine =
  | { readonly type: 'loading'; readonly progress: number }
  | { readonly type: 'ready'; readonly info: EngineInfo }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string }
  /** Sent before the first step that these sequences are part of. */
  | { readonly type: 'started'; readonly ids: readonly RequestId[]; readonly at: Micros }
  | { readonly type: 'step'; readonly updates: readonly SequenceUpdate[]; readonly stats: EngineStats }
  /** What happened to sequences without a step: refused, or cancelled while none was under way. */
  | { readonly type: 'idle'; readonly updates: readonly SequenceUpdate[]; readonly stats: EngineStats }

/** What one step did to one sequence. There are many: what there is not is left out, as every name costs time. */
export interface SequenceUpdate {
  readonly id: RequestId
  readonly tokenIds: readonly number[]
  readonly logprobs?: readonly TokenLogprobs[] | undefined
  readonly finish?:
    | {
        readonly reason: FinishReason
        readonly error: SequenceError | undefined
        /** Of a sequence with a pooling: what it ends with. */
        readonly vector?: Float32Array
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
  /** How cached blocks are evicted; undefined: there is no prefix cache. */
  readonly eviction?: string | undefined
  readonly numThreads: number
  /** Process id of the engine; the API's own in the in-process carrier. */
  readonly pid: number
}

/** A snapshot after one step; counters ever grow while the client lives, also over restarts. */
export interface EngineStats {
  readonly step: number
  readonly numRunning: number
  readonly numWaiting: number
  readonly numBlocks: number
  /** Blocks that can be had at once: free or cached. */
  readonly numFreeBlocks: number
  readonly kv: KvStats
  /** Undefined where there are no tiers below the pool. */
  readonly swap?: SwapStats | undefined
  readonly numPreemptionsTotal: number
  /** Tokens in this step, by kind. */
  readonly numPrefillTokens: number
  readonly numDecodeTokens: number
  /** Where this step's time went. */
  readonly phases: StepPhases
}

/**
 * Microseconds of one step, by phase. `emit` hands out the tokens of the step before, and finds what grammars allow, while this one computes: it lies
 * within `compute`, and all but `emit` add up to the step.
 */
export interface StepPhases {
  readonly schedule: number
  readonly build: number
  readonly compute: number
  readonly sample: number
  readonly emit: number
}
