import type { RoutingPolicy } from '../routing-policy.ts'

/** One after another, whatever they have to do. */
export function roundRobin(): RoutingPolicy {
  let next = 0
  return {
    name: 'round-robin',
    route(_, engines) {
      const chosen = next % engines.length
      next = chosen + 1
      return chosen
    },
  }
}
