import type { EngineView, RoutingPolicy } from '../routing-policy.ts'

/** Where the fewest tokens are unfinished; of equals the first. */
export function leastLoaded(): RoutingPolicy {
  return { name: 'least-loaded', route: (_, engines) => leastLoadedOf(engines) }
}

export function leastLoadedOf(engines: readonly EngineView[]): number {
  let best = engines[0]!
  for (const engine of engines) if (engine.numTokens < best.numTokens) best = engine
  return best.index
}
