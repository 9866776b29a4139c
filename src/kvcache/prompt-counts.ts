import type { KvCounters } from './kv-stats.ts'
import type { PrefixCache } from './prefix-cache.ts'
import type { PrefixKeys } from './prefix-keys.ts'

/** A sequence that has got its first blocks. */
export interface Begun {
  readonly keys: PrefixKeys | undefined
  readonly numTokens: number
  /** Tokens of its prompt; undefined when it was here before, and comes back after a preemption. */
  readonly numPromptTokens: number | undefined
}

type PromptCounters = Pick<
  KvCounters,
  'numQueriedTokens' | 'numHitTokens' | 'numIdealTokens' | 'numResumedTokens' | 'numResumedHitTokens'
>

/** How much of the prompts was found, and how much a cache without limits would have found. */
export class PromptCounts {
  readonly counts: { -readonly [name in keyof PromptCounters]: number } = {
    numQueriedTokens: 0,
    numHitTokens: 0,
    numIdealTokens: 0,
    numResumedTokens: 0,
    numResumedHitTokens: 0,
  }
  readonly #blockSize: number
  readonly #cache: PrefixCache | undefined

  constructor(blockSize: number, cache: PrefixCache | undefined) {
    this.#blockSize = blockSize
    this.#cache = cache
  }

  note({ keys, numTokens, numPromptTokens }: Begun, numFound: number): void {
    const { counts } = this
    if (numPromptTokens === undefined) {
      counts.numResumedTokens += numTokens
      counts.numResumedHitTokens += numFound
      return
    }
    const most = Math.floor((numTokens - 1) / this.#blockSize)
    const numSeen = keys === undefined ? 0 : (this.#cache?.seen.longest(keys, most) ?? 0)
    const numIdeal = numSeen * this.#blockSize
    const numHit = Math.min(numFound, numPromptTokens)
    counts.numQueriedTokens += numPromptTokens
    counts.numHitTokens += numHit
    counts.numIdealTokens += Math.max(numHit, Math.min(numIdeal, numPromptTokens))
  }
}
