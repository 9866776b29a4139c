/**
 * Temperature, min-p, top-k, top-p and the draw, over the beginning of the row's order. Whatever the list shows of
 * the row, an answer is the one that the whole row gives: sums run in the same order, and the mass of the whole
 * row is the same number, `totalMass`.
 */
import type { SamplingParams } from '../core/sampling-params.ts'
import { weightOf, type CandidateList } from './candidate-list.ts'
import { RunningMass } from './running-mass.ts'
import { totalMass, type AdjustedRow } from './total-mass.ts'

export interface DrawRules {
  readonly inverseTemperature: number
  /** How many tokens are kept at most; Infinity: no limit. */
  readonly topK: number
  /** 1: no limit. */
  readonly topP: number
  /** Tokens are kept whose log-probability is within this of the best one's; -Infinity: no limit. */
  readonly logMinP: number
}

export function toDrawRules(params: SamplingParams): DrawRules {
  return {
    inverseTemperature: 1 / params.temperature,
    topK: params.topK > 0 ? params.topK : Infinity,
    topP: Math.min(1, params.topP),
    logMinP: params.minP > 0 ? Math.min(0, Math.log(params.minP)) : -Infinity,
  }
}

/** Nothing but top-p limits the draw: it needs the mass of the whole row. */
export function drawsFromWholeRow({ topK, logMinP }: DrawRules): boolean {
  return topK === Infinity && logMinP === -Infinity
}

/** Covers the rounding of sums of up to a million weights. */
const sumSlack = 1 + 1e-9

const mass = new RunningMass()

/**
 * Place in `candidates` of the token that `uniform` in [0, 1) draws: the first whose cumulative mass, best token
 * first, is above `uniform` times the mass kept. Undefined when the list shows too little of the row to tell.
 */
export function drawIndex(
  candidates: CandidateList,
  rules: DrawRules,
  uniform: number,
  source: AdjustedRow,
): number | undefined {
  mass.start(candidates, rules.inverseTemperature)
  const { vocabSize } = source.row
  if (rules.topK >= vocabSize && rules.logMinP === -Infinity) {
    const { inverseTemperature } = rules
    const total =
      totalMass(source, candidates.logits[0]!, inverseTemperature) ?? candidates.exactMass(inverseTemperature)
    if (total === undefined) return undefined
    return pick({ length: candidates.length, isAll: candidates.isWholeRow, total }, rules, uniform)
  }
  const length = countKept(candidates, rules)
  const low = mass.to(length - 1)
  const isAll = length < candidates.length || length === rules.topK || candidates.isWholeRow
  const index = pick({ length, isAll, total: low }, rules, uniform)
  if (isAll || index === undefined) return index
  // The choice only moves down the list as the unknown total grows: if both ends of its range agree, all do.
  const numHidden = Math.min(rules.topK, vocabSize) - length
  const last = weightOf(candidates.logits[length - 1]!, candidates.logits[0]!, rules.inverseTemperature)
  const high = (low + numHidden * last) * sumSlack
  return index === pick({ length, isAll, total: high }, rules, uniform) ? index : undefined
}

/** How many of the listed tokens min-p and top-k keep. */
function countKept(candidates: CandidateList, rules: DrawRules): number {
  const limit = Math.min(candidates.length, rules.topK)
  if (rules.logMinP === -Infinity) return limit
  const best = candidates.logits[0]!
  let count = 0
  while (count < limit) {
    candidates.sortTo(count)
    if (!((candidates.logits[count]! - best) * rules.inverseTemperature >= rules.logMinP)) break
    count += 1
  }
  return count
}

/** The first `length` tokens of the list and the mass they are thought to have with the rest of what is kept. */
interface Kept {
  readonly length: number
  /** True when nothing else is kept. */
  readonly isAll: boolean
  readonly total: number
}

function pick(kept: Kept, rules: DrawRules, uniform: number): number | undefined {
  let { length, isAll, total } = kept
  if (rules.topP < 1) {
    const last = mass.firstFrom(rules.topP * total, length)
    if (last === undefined && !isAll) return undefined
    length = last === undefined ? length : last + 1
    isAll = true
    total = mass.to(length - 1)
  }
  const index = mass.firstAbove(uniform * total, length)
  if (index !== undefined || !isAll) return index
  // The row's mass was rounded up beyond the sum of its tokens: draw among what there is.
  return mass.firstAbove(uniform * mass.to(length - 1), length)
}
