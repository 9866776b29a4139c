import type { ServingError } from '../core/errors.ts'
import type { FinishReason, GenerationRequest } from '../core/request.ts'
import type { TokenLogprobs } from '../core/sampling-params.ts'
import type { Micros, RequestId } from '../core/units.ts'
import type { TimelineInterval } from '../scheduler/timeline.ts'
import type { EngineInfo, EngineStats } from './protocol.ts'

/**
 * What the rest of the program sees of an engine, whatever carries it: the same process (tests), a child
 * process (the default), another machine. Calls never throw for a request's sake: failures arrive as events.
 */
export interface EngineClient {
  /** Resolves once the model is loaded, also after a restart: `pid` is the new one then. Rejects with a ServingError when it cannot be. */
  ready(): Promise<EngineInfo>
  readonly status: EngineStatus
  /** Resolves with the reason when the engine has failed for good; never when it is closed. */
  failed(): Promise<ServingError>
  /** Starts a sequence. Exactly one `finished` event follows in the end, also after cancel. */
  submit(request: GenerationRequest, listener: SequenceListener): void
  /** Takes effect at the next step; the blocks are free then. Unknown ids are ignored. */
  cancel(id: RequestId): void
  /**
   * The sequence's answer ends, or has just ended, in a call of this tool: says how long its program will pause.
   * Unknown ids are ignored.
   */
  noteToolCall(id: RequestId, tool: string): void
  /** The newest statistics the engine sent; undefined before its first step. */
  readonly stats: EngineStats | undefined
  /** Called with each step's statistics, once a step. Returns the way to stop listening. */
  onStep(listener: (stats: EngineStats) => void): () => void
  /** Called with how it ended (`SIGABRT`, `exit code 1`) whenever the engine dies unasked. Returns the way to stop listening. */
  onCrash(listener: (how: string) => void): () => void
  /** Finishes nothing: ends the engine and fails what is unfinished. */
  close(): Promise<void>
}

export type EngineStatus =
  | { readonly state: 'loading'; /** 0 to 1 */ readonly progress: number }
  | { readonly state: 'ready' }
  | { readonly state: 'restarting'; readonly progress: number }
  | { readonly state: 'failed'; readonly message: string }
  | { readonly state: 'closed' }

/** Called synchronously, in order: any number of `tokens`, then one `finished`. */
export type SequenceListener = (event: SequenceEvent) => void

export type SequenceEvent =
  | {
      readonly kind: 'tokens'
      readonly tokenIds: readonly number[]
      /** Same length as tokenIds, or undefined when no logprobs were asked for. */
      readonly logprobs: readonly TokenLogprobs[] | undefined
    }
  | {
      readonly kind: 'finished'
      readonly reason: FinishReason
      /** Set when reason is `error`. */
      readonly error: SequenceError | undefined
      /** What a sequence with a pooling ends with, when its reason is `stop`. */
      readonly vector?: Float32Array
      readonly timings: SequenceTimings
    }

/** Why a sequence failed, for whoever asked for it. */
export interface SequenceError {
  readonly code: 'INVALID_REQUEST' | 'PROMPT_TOO_LONG' | 'ENGINE_FAILED' | 'INTERNAL'
  readonly message: string
}

/** Instants on the engine's clock of one sequence; undefined where it never got that far. */
export interface SequenceTimings {
  readonly arrivedAt: Micros
  readonly firstScheduledAt: Micros | undefined
  readonly firstTokenAt: Micros | undefined
  readonly finishedAt: Micros
  readonly numCachedTokens: number
  readonly numPreemptions: number
  /** From arrival to end without gaps; what an engine before this one did is one interval. */
  readonly intervals: readonly TimelineInterval[]
}
