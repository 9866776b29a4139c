/**
 * Tokens in descending order of adjusted logit, ties to the lower id: the beginning of the row's order, or all of
 * it. Lists are reused from call to call: one is valid until the next is made.
 */
export interface CandidateList {
  /** No token outside the list comes before the last of these. At least one. */
  readonly length: number
  /** True when `length` is the whole vocabulary. */
  readonly isWholeRow: boolean
  readonly ids: Int32Array
  readonly logits: Float32Array
  /** Makes `ids[index]` and `logits[index]` and all before them valid; index < length. The first one always is. */
  sortTo(index: number): void
  /** Sum of `weightOf` over the row in order of token id; undefined where the list is not the whole row. */
  exactMass(inverseTemperature: number): number | undefined
}

/** A token's unnormalised probability: 1 for the best. */
export function weightOf(logit: number, best: number, inverseTemperature: number): number {
  return Math.exp((logit - best) * inverseTemperature)
}
