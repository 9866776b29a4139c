import { lru } from './lru.ts'
import type { EvictionPolicy } from './policy.ts'
import { value } from './value.ts'

/** Every eviction policy by the name users know it by. Flags, docs and the contract suite derive from this. */
export const evictionPolicies = { value, lru } as const satisfies Record<string, () => EvictionPolicy>

export type EvictionName = keyof typeof evictionPolicies

export const evictionNames = Object.keys(evictionPolicies) as [EvictionName, ...EvictionName[]]
