/** What became of prompts and blocks. Counters ever grow. */
export interface KvCounters {
  /** Tokens of all prompts at their first admission. */
  readonly numQueriedTokens: number
  /** Those of them whose KV was there. */
  readonly numHitTokens: number
  /** Those that a cache of infinite size would have had; as many as were hit, at least. */
  readonly numIdealTokens: number
  /** Tokens of sequences that came back after a preemption, and those of them whose KV was still there. */
  readonly numResumedTokens: number
  readonly numResumedHitTokens: number
  /** Blocks copied because sequences part within them. */
  readonly numCopiedBlocks: number
  /** Blocks that changed their place so that a sequence lies in fewer extents. */
  readonly numCompactedBlocks: number
  /** Cached blocks that had to go: because blocks were needed, or so that a newcomer lies in one piece. */
  readonly numEvictedForRoom: number
  readonly numEvictedForOrder: number
}

/** A snapshot of the pool and what became of it. */
export interface KvStats extends KvCounters {
  readonly numFreeBlocks: number
  readonly numCachedBlocks: number
  readonly numOwnedBlocks: number
  /** Sequences that hold blocks, and the extents that they hold together. */
  readonly numSequences: number
  readonly numExtents: number
  /** Blocks in tables of sequences, shared ones once for each. */
  readonly numTableBlocks: number
}

export const emptyKvCounters: KvCounters = {
  numQueriedTokens: 0,
  numHitTokens: 0,
  numIdealTokens: 0,
  numResumedTokens: 0,
  numResumedHitTokens: 0,
  numCopiedBlocks: 0,
  numCompactedBlocks: 0,
  numEvictedForRoom: 0,
  numEvictedForOrder: 0,
}

export const emptyKvStats: KvStats = {
  ...emptyKvCounters,
  numFreeBlocks: 0,
  numCachedBlocks: 0,
  numOwnedBlocks: 0,
  numSequences: 0,
  numExtents: 0,
  numTableBlocks: 0,
}

const counterNames = Object.keys(emptyKvCounters) as (keyof KvCounters)[]

/** The snapshot with the counters of an earlier pool added. */
export function withCountersOf(stats: KvStats, before: KvCounters): KvStats {
  const sums: { -readonly [name in keyof KvCounters]: number } = { ...emptyKvCounters }
  for (const name of counterNames) sums[name] = stats[name] + before[name]
  return { ...stats, ...sums }
}
