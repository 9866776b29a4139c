/**
 * One sequence's way from a row of logits to its next token. It knows nothing of steps, batches or executors;
 * it looks at as little of the row as decides the token (`narrow-candidates.ts`, `draw.ts`) and at the whole of
 * it only when it must (`wide-candidates.ts`): the token is the same either way.
 *
 * A mask comes first: what it does not allow is as good as not in the vocabulary.
 * Order of the rules: logit bias, repetition penalty, presence and frequency penalty; then the best token if
 * greedy; else temperature, min-p, top-k, top-p and a draw.
 */
import { uniformAt } from '../core/random.ts'
import type { SamplingParams, TokenLogprobs } from '../core/sampling-params.ts'
import type { LogitsNeed, LogitsRow } from '../executor/executor.ts'
import type { TokenMask } from '../grammar/token-mask.ts'
import type { CandidateList } from './candidate-list.ts'
import { drawIndex, drawsFromWholeRow, toDrawRules, type DrawRules } from './draw.ts'
import { LogitAdjustments } from './logit-adjustments.ts'
import { checkLogit } from './logit-errors.ts'
import { tokenLogprobs } from './logprobs.ts'
import { bestAllowed, maskedCandidates } from './masked-candidates.ts'
import { narrowCandidates } from './narrow-candidates.ts'
import type { AdjustedRow } from './total-mass.ts'
import { wideCandidates } from './wide-candidates.ts'

export interface SampledToken {
  readonly tokenId: number
  /** Undefined when the request asked for none. */
  readonly logprobs: TokenLogprobs | undefined
}

export interface Sampler {
  /** What the executor should prepare of this sequence's next row. */
  need(): LogitsNeed
  /**
   * Chooses the next token, of those that `mask` allows, and counts it as output.
   * @throws {ServingError} `INTERNAL` when the row holds no usable logits.
   */
  sample(row: LogitsRow, mask?: TokenMask): SampledToken
}

/**
 * A sampler that goes on after `outputTokens`: created anew with the tokens so far it chooses the same tokens as
 * one that was never interrupted.
 */
export function createSampler(
  params: SamplingParams,
  promptTokens: readonly number[],
  outputTokens: readonly number[],
): Sampler {
  return new TokenSampler(params, promptTokens, outputTokens)
}

/** vLLM's bound too: below it float32 logits cannot tell a draw from the best token. */
const smallestTemperature = 1e-5

class TokenSampler implements Sampler {
  readonly #params: SamplingParams
  readonly #adjustments: LogitAdjustments
  /** Undefined: greedy. */
  readonly #rules: DrawRules | undefined
  readonly #need: LogitsNeed
  #numOutputTokens: number

  constructor(params: SamplingParams, promptTokens: readonly number[], outputTokens: readonly number[]) {
    this.#params = params
    this.#adjustments = new LogitAdjustments(params, promptTokens, outputTokens)
    this.#rules = params.temperature < smallestTemperature ? undefined : toDrawRules(params)
    this.#numOutputTokens = outputTokens.length
    const bestIsEnough =
      this.#rules === undefined && !this.#adjustments.possible && params.topLogprobs === undefined
    this.#need = bestIsEnough
      ? { kind: 'argmax' }
      : { kind: 'top', logSumExpAt: massesNeeded(this.#rules, params.topLogprobs !== undefined) }
  }

  need(): LogitsNeed {
    return this.#need
  }

  sample(row: LogitsRow, mask?: TokenMask): SampledToken {
    checkLogit(row.topLogits[0])
    const tokenId = this.#choose(row, mask)
    const { topLogprobs } = this.#params
    const logprobs = topLogprobs === undefined ? undefined : tokenLogprobs(row, tokenId, topLogprobs)
    this.#adjustments.record(tokenId)
    this.#numOutputTokens += 1
    return { tokenId, logprobs }
  }

  #choose(row: LogitsRow, mask: TokenMask | undefined): number {
    this.#adjustments.limitTo(row.vocabSize)
    if (mask?.count === 1) return mask.allowed![0]!
    if (this.#rules === undefined && this.#adjustments.size === 0) {
      return mask === undefined ? row.topIds[0]! : bestAllowed(row, mask)
    }
    const source = { row, adjustments: this.#adjustments, mask }
    const narrow =
      mask === undefined
        ? narrowCandidates(row, this.#adjustments)
        : maskedCandidates(row, this.#adjustments, mask)
    const chosen = narrow === undefined ? undefined : this.#chooseFrom(narrow, source)
    if (chosen !== undefined) return chosen
    return this.#chooseFrom(wideCandidates(row, this.#adjustments, mask), source)!
  }

  #chooseFrom(candidates: CandidateList, source: AdjustedRow): number | undefined {
    if (this.#rules === undefined) return candidates.ids[0]!
    const uniform = uniformAt(this.#params.seed, 0, this.#numOutputTokens)
    const index = drawIndex(candidates, this.#rules, uniform, source)
    return index === undefined ? undefined : candidates.ids[index]!
  }
}

/** Inverse temperatures at which the row's mass is looked at: its own for an unlimited draw, 1 for log-probabilities. */
function massesNeeded(rules: DrawRules | undefined, wantsLogprobs: boolean): number[] {
  const needed = new Set<number>()
  if (rules !== undefined && drawsFromWholeRow(rules)) needed.add(rules.inverseTemperature)
  if (wantsLogprobs) needed.add(1)
  return [...needed]
}
