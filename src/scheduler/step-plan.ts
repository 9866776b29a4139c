import type { RequestId, SequenceId } from '../core/units.ts'
import type { BlockCopy } from '../kvcache/block-copy.ts'
import type { Extent } from '../kvcache/extent.ts'

export type { BlockCopy }

/** What one sequence does in a step: the tokens at [position, position + tokens.length) are computed. */
export interface PlanEntry {
  readonly sequenceId: SequenceId
  readonly requestId: RequestId
  /** Tokens whose KV this step computes; one for a decode, more for a prefill chunk. */
  readonly tokens: readonly number[]
  /** Position of `tokens[0]` in the sequence: the number of its tokens whose KV exists already. */
  readonly position: number
  /** Where the sequence's KV lives, in token order; covers at least position + tokens.length token slots. */
  readonly extents: readonly Extent[]
  /** True when the chunk reaches the sequence's last token: its last row yields the next token. */
  readonly samples: boolean
}

/** One step, as plain data: loggable, diffable, replayable. The only thing an executor sees. */
export interface StepPlan {
  readonly step: number
  readonly entries: readonly PlanEntry[]
  readonly numTokens: number
  /** Sequences that lost their blocks since the last step and went back to waiting; some may be here again. */
  readonly preempted: readonly SequenceId[]
  /**
   * Done before anything is computed, in any order: no block is the target of two, or the source of one and the
   * target of another.
   */
  readonly copies: readonly BlockCopy[]
}
