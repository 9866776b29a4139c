/**
 * Tokens in their order, as far as whoever plans needs to know them. An array is one. Where tokens stand for others and
 * come in long runs, as in simulations, there are lists that take less room.
 */
export interface TokenList {
  readonly length: number
  at(index: number): number | undefined
  /** `start` is not negative. */
  slice(start: number, end?: number): readonly number[]
  /** A list of its own: these, and then `more`. */
  concat(more: readonly number[]): GrowingTokens
}

export interface GrowingTokens extends TokenList {
  /** Returns the new length. */
  push(token: number): number
}
