import type { EvictionPolicy } from './policy.ts'

/** Least recently used: who was let go first goes first. */
export function lru(): EvictionPolicy {
  return { name: 'lru', priorityOf: ({ step }) => 1 + step }
}
