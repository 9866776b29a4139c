import type { FastifyInstance } from 'fastify'
import type { ApiContext } from '../context.ts'
import { requireEngine } from '../context.ts'
import type { EngineStats } from '../../engine/protocol.ts'

type SwapStats = NonNullable<EngineStats['swap']>

/** What the KV cache holds and what became of it, as of the last step. */
export function debugKv(app: FastifyInstance, context: ApiContext): void {
  app.get('/debug/kv', async () => {
    const { blockSize, numBlocks, kvBytesPerToken, eviction } = await requireEngine(context)
    const { kv, swap } = context.engine.stats ?? {}
    const pool = {
      block_size: blockSize,
      num_blocks: numBlocks,
      bytes_per_block: blockSize * kvBytesPerToken,
    }
    if (kv === undefined) return { pool, eviction: eviction ?? null }
    return {
      pool,
      eviction: eviction ?? null,
      blocks: { free: kv.numFreeBlocks, owned: kv.numOwnedBlocks, cached: kv.numCachedBlocks },
      prompts: {
        tokens: kv.numQueriedTokens,
        hit_tokens: kv.numHitTokens,
        ideal_hit_tokens: kv.numIdealTokens,
        hit_rate: ratio(kv.numHitTokens, kv.numQueriedTokens),
        ideal_hit_rate: ratio(kv.numIdealTokens, kv.numQueriedTokens),
      },
      resumed: { tokens: kv.numResumedTokens, hit_tokens: kv.numResumedHitTokens },
      evicted_blocks: { room: kv.numEvictedForRoom, order: kv.numEvictedForOrder },
      copied_blocks: kv.numCopiedBlocks,
      compacted_blocks: kv.numCompactedBlocks,
      tiers: swap === undefined ? null : tiersOf(swap),
      sequences: {
        running: kv.numSequences,
        extents_per_sequence: ratio(kv.numExtents, kv.numSequences),
        mean_run_blocks: ratio(kv.numTableBlocks, kv.numExtents),
      },
    }
  })
}

function tiersOf(swap: SwapStats) {
  const { tiers, movedBytes, numClean, numPartial, numCheap, numHurried } = swap
  return {
    blocks: tiers.map((tier) => ({
      tier: tier.name,
      slots: tier.numSlots,
      kept: tier.numKept,
      free: tier.numFree,
      moving: tier.numSlots - tier.numKept - tier.numFree,
      retired: tier.numRetired,
      read: tier.numBlocksRead,
      written: tier.numBlocksWritten,
    })),
    moved_bytes: movedBytes,
    dropped_blocks: { kept: numClean, partial: numPartial, cheap: numCheap, hurried: numHurried },
    failed_blocks: { out: swap.numFailedWrites, in: swap.numFailedReads },
    waited: { steps: swap.numWaitedSteps, seconds: swap.waitedMicros / 1e6 },
  }
}

/** Null where there is nothing to divide by. */
const ratio = (value: number, by: number) => (by > 0 ? value / by : null)
