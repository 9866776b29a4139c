/** What a step costs, in the quantities that its time depends on. */
export interface StepWork {
  /** Sequences that compute one token and sample the next. */
  readonly numDecodes: number
  /** All other tokens: prompts, or what is computed again after a preemption. */
  readonly numPrefillTokens: number
  /** Attention: the sum over all computed tokens of the tokens that each looks at. */
  readonly attendedKeys: number
}

/** Keys that a chunk of `numTokens` tokens at `position` looks at: each token at itself and all before it. */
export function keysAttended(position: number, numTokens: number): number {
  return numTokens * position + (numTokens * (numTokens + 1)) / 2
}
