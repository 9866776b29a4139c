import type { LogitsRow } from '../executor/executor.ts'
import { allows, type TokenMask } from '../grammar/token-mask.ts'
import { weightOf } from './candidate-list.ts'
import type { LogitAdjustments } from './logit-adjustments.ts'
import { unusableLogits } from './logit-errors.ts'

/** A row and what is changed about it. */
export interface AdjustedRow {
  readonly row: LogitsRow
  readonly adjustments: LogitAdjustments
  /** Tokens that count; undefined: all. */
  readonly mask?: TokenMask | undefined
}

/**
 * The graph sums the row in float32. When adjustments and a mask take most of that sum away, its error is large beside what
 * is left: below this part of it the rest is summed anew from the whole row.
 */
const smallestRest = 1 / 16

/**
 * Sum of `weightOf` over the whole adjusted row, without reading it: the model's own sum, corrected for the touched
 * tokens and for those that a mask denies. `best` is the highest adjusted logit. Undefined when it can only be had precisely from the whole row.
 * @throws {ServingError} `INTERNAL` when the row's sum is not a number.
 */
export function totalMass(source: AdjustedRow, best: number, inverseTemperature: number): number | undefined {
  const { row, adjustments, mask } = source
  const denied = mask === undefined ? none : mask.denied
  if (denied === undefined) return undefined
  const rawBest = row.topLogits[0]!
  const logMass = row.logSumExp(inverseTemperature) - rawBest * inverseTemperature
  if (!Number.isFinite(logMass)) throw unusableLogits(logMass)
  // At tiny temperatures the sum's logarithm is so large that float32 loses its fraction: hold it to what is possible.
  const rawMass = Math.min(Math.max(1, Math.exp(logMass)), row.vocabSize)
  if (adjustments.size === 0 && denied.length === 0) return rawMass
  let rest = rawMass
  let added = 0
  for (const { id } of adjustments.touched) {
    const logit = row.logitOf(id)
    rest -= weightOf(logit, rawBest, inverseTemperature)
    if (mask === undefined || allows(mask, id)) {
      added += weightOf(adjustments.adjust(id, logit), best, inverseTemperature)
    }
  }
  if (denied.length > 0) {
    const logits = row.full()
    for (const id of denied) {
      if (!adjustments.has(id)) rest -= weightOf(logits[id]!, rawBest, inverseTemperature)
    }
  }
  if (rest < rawMass * smallestRest) return undefined
  return rest * weightOf(rawBest, best, inverseTemperature) + added
}

const none = new Int32Array(0)
