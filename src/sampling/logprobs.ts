import type { TokenLogprobs } from '../core/sampling-params.ts'
import type { LogitsRow } from '../executor/executor.ts'
import { LogitAdjustments } from './logit-adjustments.ts'
import { greedySampling } from '../core/sampling-params.ts'
import { unusableLogits } from './logit-errors.ts'
import { wideCandidates } from './wide-candidates.ts'

/**
 * Log-probabilities of the model's own distribution: of `tokenId` and of the `numTop` best tokens.
 * Reads the whole row only when it shows fewer.
 */
export function tokenLogprobs(row: LogitsRow, tokenId: number, numTop: number): TokenLogprobs {
  const logSum = row.logSumExp(1)
  if (!Number.isFinite(logSum)) throw unusableLogits(logSum)
  const count = Math.min(numTop, row.vocabSize)
  const { ids, logits } = bestTokens(row, count)
  const top = Array.from({ length: count }, (_, index) => ({
    tokenId: ids[index]!,
    logprob: logits[index]! - logSum,
  }))
  return { logprob: row.logitOf(tokenId) - logSum, top }
}

const unadjusted = new LogitAdjustments(greedySampling, [], [])

function bestTokens(row: LogitsRow, count: number): { ids: ArrayLike<number>; logits: ArrayLike<number> } {
  if (count <= row.topIds.length) return { ids: row.topIds, logits: row.topLogits }
  const candidates = wideCandidates(row, unadjusted)
  candidates.sortTo(count - 1)
  return candidates
}
