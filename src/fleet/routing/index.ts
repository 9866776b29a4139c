import type { RoutingPolicy } from '../routing-policy.ts'
import { leastLoaded } from './least-loaded.ts'
import { prefixAffinity } from './prefix-affinity.ts'
import { roundRobin } from './round-robin.ts'

/** Every routing policy by the name users know it by. */
export const routingPolicies = {
  'round-robin': roundRobin,
  'least-loaded': leastLoaded,
  'prefix-affinity': prefixAffinity,
} as const satisfies Record<string, () => RoutingPolicy>

export type RoutingName = keyof typeof routingPolicies

export const routingNames = Object.keys(routingPolicies) as [RoutingName, ...RoutingName[]]
