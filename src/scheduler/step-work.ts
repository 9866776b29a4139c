import type { StepPlan } from './step-plan.ts'

/** What a step costs, in the quantities that its time depends on. */
export interface StepWork {
  /** Rows that yield a token: decodes, and the last row of a prompt. */
  readonly numSampledRows: number
  /** All other rows: prompt or recomputed tokens. */
  readonly numPrefillRows: number
  /** Attention: the sum over all rows of the tokens that the row looks at. */
  readonly numAttendedTokens: number
}

/** Tokens looked at by the rows of a chunk of `numTokens` at `position`, each at itself and all before it. */
export function attendedTokens(position: number, numTokens: number): number {
  return numTokens * position + (numTokens * (numTokens + 1)) / 2
}

export function workOf(plan: StepPlan): StepWork {
  let numSampledRows = 0
  let numAttendedTokens = 0
  for (const entry of plan.entries) {
    if (entry.samples) numSampledRows += 1
    numAttendedTokens += attendedTokens(entry.position, entry.tokens.length)
  }
  return { numSampledRows, numPrefillRows: plan.numTokens - numSampledRows, numAttendedTokens }
}

/** Tokens of a plan by kind, as statistics report them: a decode is a single row that yields a token. */
export function countTokensByKind(plan: StepPlan): { numPrefillTokens: number; numDecodeTokens: number } {
  const numDecodeTokens = plan.entries.reduce(
    (sum, entry) => sum + Number(entry.samples && entry.tokens.length === 1),
    0,
  )
  return { numPrefillTokens: plan.numTokens - numDecodeTokens, numDecodeTokens }
}
