import type { EngineView, RoutedRequest, RoutingPolicy } from '../routing-policy.ts'
import { leastLoadedOf } from './least-loaded.ts'

/** Tokens of a prompt that are remembered as one. */
const chunkSize = 64
/** Chunks remembered in all, at least half of them: the least recently used go first, half of all at a time. */
const mostChunks = 262_144
/** What an unfinished token weighs against one that need not be computed: it shares its steps with others. */
const loadWeight = 0.1

/**
 * To the engine with the most tokens of the prompt's beginning less its load above the least loaded one's. What an
 * engine has is what was sent to it: a router sees no caches (as in Preble and in SGLang's router, which weigh cached
 * prefix against load too). A prompt that nobody has seen goes to the least loaded.
 */
export function prefixAffinity(): RoutingPolicy {
  /** The engine that was sent a chunk and all before it last, by the hash of both. */
  let owners = new Map<number, number>()
  let older: ReadonlyMap<number, number> = new Map()
  return {
    name: 'prefix-affinity',
    route(request, engines) {
      const chunks = chunkHashes(request)
      const ownerOf = (chunk: number): number | undefined => owners.get(chunk) ?? older.get(chunk)
      const matched = matchedTokens(chunks, ownerOf, engines.length)
      const chosen = bestOf(engines, matched)
      for (const chunk of chunks) owners.set(chunk, chosen)
      if (owners.size > mostChunks / 2) [older, owners] = [owners, new Map()]
      return chosen
    },
  }
}

function bestOf(engines: readonly EngineView[], matched: Float64Array): number {
  const idle = leastLoadedOf(engines)
  const least = engines[idle]!.numTokens
  let best = idle
  let bestScore = matched[idle]!
  for (const { index, numTokens } of engines) {
    const score = matched[index]! - loadWeight * (numTokens - least)
    if (score <= bestScore) continue
    best = index
    bestScore = score
  }
  return best
}

/** How far into the prompt each engine was sent all of it. */
function matchedTokens(
  chunks: readonly number[],
  ownerOf: (chunk: number) => number | undefined,
  numEngines: number,
): Float64Array {
  const matched = new Float64Array(numEngines)
  for (const [index, chunk] of chunks.entries()) {
    const owner = ownerOf(chunk)
    if (owner === undefined) break
    matched[owner] = (index + 1) * chunkSize
  }
  return matched
}

/** Of each whole chunk together with all before it; 52 bits. */
function chunkHashes({ tokens }: RoutedRequest): number[] {
  const hashes: number[] = []
  let high = 0x2545f491
  let low = 0x6c078965
  for (let index = 0; index < tokens.length; index += 1) {
    low = Math.imul(low ^ tokens[index]!, 0x85ebca6b)
    low ^= low >>> 13
    high = Math.imul(high + low, 0xc2b2ae35) ^ (high >>> 16)
    if (index % chunkSize === chunkSize - 1) hashes.push((high >>> 12) * 4_294_967_296 + (low >>> 0))
  }
  return hashes
}
