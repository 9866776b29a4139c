import type { EvictionPolicy } from './policy.ts'

/**
 * Computing a token at this position takes about twice as long as at the first one, attention being the other half:
 * weights over (2 x layers x width) for models from 0.5B to 8B give 4,000 to 16,000.
 */
const positionOfDoubleCost = 8192

/**
 * Keeps what saves the most recomputing per byte: GreedyDual-Size-Frequency (Cherkasova, 1998). A block is worth what
 * computing it again costs, more where it came back before or is wished to stay. Cost counts by its square root: by itself
 * it would keep the longest prompts at the expense of many that come back sooner (`bench/kv-eviction.ts`). Worth is counted from the worth of
 * the last block that had to go, so that what nobody comes back for ages with every eviction. All blocks have one
 * size. Reuses count by their logarithm: what was popular for a day is not kept for another.
 */
export function value(): EvictionPolicy {
  let age = 0
  return {
    name: 'value',
    priorityOf: ({ position, numReuses, retention }) =>
      age + retention * Math.sqrt(1 + position / positionOfDoubleCost) * (1 + Math.log2(1 + numReuses)),
    onEvict(priority) {
      age = Math.max(age, priority)
    },
  }
}
