import type { FinishReason, GenerationRequest } from '../core/request.ts'
import type { Micros, SequenceId } from '../core/units.ts'

export type SequenceStatus = 'waiting' | 'running' | 'finished'

/**
 * One sequence on its way from arrival to finish. There is no prefill phase and no decode phase: computed tokens
 * catch up with tokens (the idea is vLLM v1's), and whoever has caught up samples one more.
 */
export class Sequence {
  readonly id: SequenceId
  readonly request: GenerationRequest
  /** Prompt and output so far. */
  readonly tokens: number[]
  /** Upper bound of `tokens.length`. */
  readonly maxLength: number
  readonly stopTokenIds: ReadonlySet<number>
  status: SequenceStatus = 'waiting'
  /** Tokens whose KV exists; 0 again after a preemption. */
  numComputedTokens = 0
  /** Position in the order of admissions; grows with every admission of the engine. */
  admission = 0
  isCancelled = false
  numPreemptions = 0
  firstScheduledAt: Micros | undefined
  firstTokenAt: Micros | undefined

  constructor(
    id: SequenceId,
    request: GenerationRequest,
    maxLength: number,
    stopTokenIds: ReadonlySet<number>,
  ) {
    this.id = id
    this.request = request
    this.tokens = [...request.promptTokens, ...request.outputTokens]
    this.maxLength = maxLength
    this.stopTokenIds = stopTokenIds
  }

  get numOutputTokens(): number {
    return this.tokens.length - this.request.promptTokens.length
  }

  /** Tokens whose KV is missing; 1 for a sequence that decodes. */
  get numPendingTokens(): number {
    return this.tokens.length - this.numComputedTokens
  }

  /** Why the newest token ends the sequence; undefined when it goes on. */
  finishReasonAfter(tokenId: number): FinishReason | undefined {
    if (this.stopTokenIds.has(tokenId)) return 'stop'
    return this.tokens.length >= this.maxLength ? 'length' : undefined
  }
}
