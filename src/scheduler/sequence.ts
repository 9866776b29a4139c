import type { FinishReason, ScheduledRequest } from '../core/request.ts'
import type { GrowingTokens, TokenList } from '../core/token-list.ts'
import type { Micros, SequenceId } from '../core/units.ts'
import type { PrefixKeys } from '../kvcache/prefix-keys.ts'

/** `preempted` waits like `waiting`, but ran before, and keeps the tokens it had. */
export type SequenceStatus = 'waiting' | 'running' | 'preempted' | 'finished'

/** What anybody but the scheduler may look at. */
export interface SequenceView {
  readonly id: SequenceId
  readonly request: ScheduledRequest
  readonly status: SequenceStatus
  /** Prompt and output so far. */
  readonly tokens: TokenList
  readonly numPromptTokens: number
  readonly numOutputTokens: number
  /** Tokens whose KV exists; 0 again after a preemption. */
  readonly numComputedTokens: number
  readonly numPreemptions: number
  /** Steps in a row that did not bear its next token. */
  readonly numStepsMissed: number
  /** Prompt tokens whose KV was there when it was admitted first. */
  readonly numCachedTokens: number
  /** Finds the beginning of `tokens` in the prefix cache; undefined where there is none. */
  readonly keys?: PrefixKeys | undefined
  /** Undefined before its first step, and before its first token. */
  readonly firstScheduledAt: Micros | undefined
  readonly firstTokenAt: Micros | undefined
}

/**
 * One sequence on its way from arrival to finish. There is no prefill phase and no decode phase: computed tokens
 * catch up with tokens (the idea is vLLM v1's), and whoever has caught up samples one more. Only the scheduler
 * changes it.
 */
export class Sequence implements SequenceView {
  readonly id: SequenceId
  /** Changes before it waits only, when it turns out to belong to a program. */
  request: ScheduledRequest
  readonly tokens: GrowingTokens
  readonly numPromptTokens: number
  /** Upper bound of `tokens.length`. */
  readonly maxLength: number
  readonly #stopTokenIds: ReadonlySet<number>
  status: SequenceStatus = 'waiting'
  numComputedTokens = 0
  /** Tokens that its blocks can hold, while it runs. */
  numTokenSlots = 0
  numPreemptions = 0
  numStepsMissed = 0
  numCachedTokens = 0
  keys: PrefixKeys | undefined
  /** The step under way reads and writes its blocks. */
  isInFlight = false
  /** It ends with the step under way, whatever that yields. */
  isCancelled = false
  /** Its place in the waiting queue; -1 outside. */
  queueIndex = -1
  firstScheduledAt: Micros | undefined
  firstTokenAt: Micros | undefined

  constructor(
    id: SequenceId,
    request: ScheduledRequest,
    maxLength: number,
    stopTokenIds: ReadonlySet<number>,
  ) {
    this.id = id
    this.request = request
    this.tokens = request.promptTokens.concat(request.outputTokens)
    this.numPromptTokens = request.promptTokens.length
    this.maxLength = maxLength
    this.#stopTokenIds = stopTokenIds
  }

  get numOutputTokens(): number {
    return this.tokens.length - this.numPromptTokens
  }

  /** Tokens whose KV is missing; 1 for a sequence that decodes. */
  get numPendingTokens(): number {
    return this.tokens.length - this.numComputedTokens
  }

  /** Why the tokens so far end the sequence; undefined when it goes on. */
  get finishReason(): FinishReason | undefined {
    const { length } = this.tokens
    const isStop = this.#stopTokenIds.size > 0 && length > this.numPromptTokens
    if (isStop && this.#stopTokenIds.has(this.tokens.at(-1)!)) return 'stop'
    return length >= this.maxLength ? 'length' : undefined
  }
}
