import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { PrefixHit } from '../kvcache/prefix-cache.ts'
import type { Sequence } from './sequence.ts'

/** Less than this part of a block is computed twice rather than waited for. */
const leastGain = 1 / 4

/** Its last token is computed in any case: without that there is nothing to sample from. */
export function findPrefix(kv: KvCacheManager, { keys, tokens }: Sequence): PrefixHit {
  return kv.findPrefix(keys, tokens.length - 1)
}

/**
 * Whether somebody who runs is computing the block that `sequence` needs next. Waiting for it costs nobody anything:
 * both would compute the same tokens out of one budget, and the one ahead is served first. It ends with the block,
 * and with whoever computes it.
 */
export function isBeingComputed(
  sequence: Sequence,
  hit: PrefixHit,
  running: readonly Sequence[],
  blockSize: number,
): boolean {
  const next = hit.numBlocks
  const { keys } = sequence
  if (keys === undefined || next >= keys.numBlocks) return false
  const mostTokens = Math.min((next + 1) * blockSize, sequence.tokens.length - 1)
  if (mostTokens - hit.numTokens < leastGain * blockSize) return false
  return running.some(
    (other) =>
      other.numPendingTokens > 1 &&
      other.numComputedTokens < (next + 1) * blockSize &&
      other.keys?.sharesBlock(keys, next),
  )
}
