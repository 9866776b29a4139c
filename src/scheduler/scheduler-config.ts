import type { TokenBudgetConfig } from './token-budget.ts'

export interface SchedulerConfig extends TokenBudgetConfig {
  /** Sequences that run at once; never more than a step has tokens. */
  readonly maxNumSeqs: number
  /** Longest sequence in tokens, prompt and output together. */
  readonly maxModelLen: number
  /** Tokens that end every sequence that does not ignore them. */
  readonly endTokenIds: readonly number[]
  /**
   * A newcomer leaves room for everybody, itself included, to grow by half of what each may still grow, at most by
   * this many tokens: else the next steps would throw it out again. More wastes blocks, less wastes computing.
   */
  readonly growthHeadroom?: number | undefined
  /** Brings sequences' extents together while nobody waits; true unless given. */
  readonly compacts?: boolean | undefined
}
