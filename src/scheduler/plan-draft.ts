import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { Sequence } from './sequence.ts'
import type { BlockCopy, PlanEntry } from './step-plan.ts'
import type { TokenBudget } from './token-budget.ts'

/** A plan in the making: each sequence gets as many of its pending tokens as the budget has left. */
export class PlanDraft {
  readonly entries: PlanEntry[] = []
  /** Whose entries they are. */
  readonly sequences: Sequence[] = []
  readonly copies: BlockCopy[] = []
  readonly #kv: KvCacheManager
  readonly #budget: TokenBudget

  constructor(kv: KvCacheManager, budget: TokenBudget) {
    this.#kv = kv
    this.#budget = budget
  }

  /**
   * Makes order among blocks while nobody waits and all that run are streams; to be called before any is added. Where
   * somebody waits, what has begun is given up: its room may be wanted.
   */
  compact(running: readonly Sequence[], numWaiting: number): void {
    if (numWaiting > 0) this.#kv.abandonCompaction()
    else if (running.every(({ numPendingTokens }) => numPendingTokens === 1)) {
      this.copies.push(...this.#kv.compact())
    }
  }

  /** As `add`, for a stream that comes late: it may be too much for the step. */
  addLater(stream: Sequence): void {
    if (this.#budget.bearsToken(stream.tokens.length)) this.add(stream)
    else stream.numStepsMissed += 1
  }

  /** The sequence has blocks for all its tokens. Nothing happens when the step is full. */
  add(sequence: Sequence): void {
    const position = sequence.numComputedTokens
    const length = this.#budget.limit(position, sequence.numPendingTokens)
    if (length === 0) return
    const samples = length === sequence.numPendingTokens
    this.#budget.take(position, length, samples && length === 1)
    sequence.isInFlight = true
    this.sequences.push(sequence)
    sequence.numStepsMissed = 0
    this.entries.push({
      sequenceId: sequence.id,
      requestId: sequence.request.id,
      tokens: sequence.tokens.slice(position, position + length),
      position,
      extents: this.#kv.extentsOf(sequence.id),
      samples,
    })
  }
}
