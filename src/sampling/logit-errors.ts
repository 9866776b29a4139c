import { ServingError } from '../core/errors.ts'

/**
 * Refuses the best logit of a row when no choice can rest on it: a broken model ends the sequence it broke, not
 * the engine.
 * @throws {ServingError} `INTERNAL`
 */
export function checkLogit(best: number | undefined): void {
  if (best === undefined || !Number.isFinite(best)) throw unusableLogits(best)
}

/** The error for logits that cannot be sampled from. */
export function unusableLogits(value: number | undefined): ServingError {
  const what = value === undefined || Number.isNaN(value) ? 'NaN' : 'infinite'
  return new ServingError('INTERNAL', `the model produced ${what} logits`)
}
