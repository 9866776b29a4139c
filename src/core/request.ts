import type { SamplingParams } from './sampling-params.ts'
import type { Micros, RequestId } from './units.ts'

/** Why a sequence ended. `cancelled`: somebody asked; `error`: see the message beside it. */
export type FinishReason = 'stop' | 'length' | 'cancelled' | 'error'

/**
 * One sequence to generate, as an engine receives it: tokens in, tokens out. `n` samples are `n` of these.
 * Stop *strings* are not here: whoever detokenises finds them and cancels.
 */
export interface GenerationRequest {
  readonly id: RequestId
  readonly promptTokens: readonly number[]
  /** Tokens already generated for this request (it continues after a crash or a move); usually empty. */
  readonly outputTokens: readonly number[]
  readonly sampling: SamplingParams
  /** Upper bound of generated tokens, `outputTokens` included. */
  readonly maxTokens: number
  /** Tokens that end the sequence; the model's own end tokens are added by the engine unless `ignoreEos`. */
  readonly stopTokenIds: readonly number[]
  readonly ignoreEos: boolean
  /** Who is accounted. */
  readonly tenant: string
  /** When the server received it. */
  readonly arrivedAt: Micros
}
