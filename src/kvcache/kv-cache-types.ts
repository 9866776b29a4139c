/** What the KV cache manager is made with, and what it is asked. */
import type { SequenceId } from '../core/units.ts'
import type { BlockCopy } from './block-copy.ts'
import type { SwapperConfig } from './block-swapper.ts'
import type { EvictionPolicy } from './eviction/policy.ts'
import type { BlockHasher } from './prefix-hasher.ts'
import type { PrefixKeys } from './prefix-keys.ts'
import type { Begun } from './prompt-counts.ts'
import type { TransferReason } from './transfer.ts'

export interface KvCacheSize {
  readonly numBlocks: number
  /** Tokens per block: a power of two. */
  readonly blockSize: number
}

export interface PrefixCacheConfig {
  readonly eviction: EvictionPolicy
  /** Makes keys unpredictable: secret where users do not trust each other. */
  readonly seed: number
  /** Undefined: one whose keys nobody can foresee. */
  readonly hasher?: BlockHasher | undefined
  /** Keys that are remembered to tell what a cache without limits would hold; undefined: millions. */
  readonly mostSeenKeys?: number | undefined
  /** Where evicted blocks go; undefined: nowhere. */
  readonly swapper?: SwapperConfig | undefined
}

/** A sequence that is about to get its first blocks. */
export interface Newcomer extends Begun {
  readonly id: SequenceId
  /** How many tokens it may have in the end. */
  readonly maxTokens: number
  /** How long its blocks are wished to stay afterwards, as a multiple of what is usual. */
  readonly retention: number
  /** It comes back for what it left there itself: that says nothing about how many others want it. */
  readonly isReturning?: boolean
}

/** A sequence that waits, and may find more of its beginning below the pool. */
export interface Returner {
  readonly id: SequenceId
  readonly keys: PrefixKeys | undefined
  readonly maxTokens: number
  readonly reason: TransferReason
}

export interface Started {
  /** Tokens whose KV is there, once the copy is done. */
  readonly numTokens: number
  /** To be done before the next step computes anything. */
  readonly copy: BlockCopy | undefined
}
