import { needsAllStates, type ScheduledRequest } from '../core/request.ts'
import type { TokenList } from '../core/token-list.ts'
import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { PrefixKeys } from '../kvcache/prefix-keys.ts'
import type { SequenceView } from './sequence.ts'

export type Admission =
  | { readonly kind: 'added'; readonly sequence: SequenceView }
  /** The request can never run here. */
  | { readonly kind: 'rejected'; readonly message: string }

/** What finds its tokens in the prefix cache; undefined where it must not, or cannot, be found. */
export function createKeys(
  kv: KvCacheManager,
  request: ScheduledRequest,
  tokens: TokenList,
): PrefixKeys | undefined {
  return needsAllStates(request.pooling) ? undefined : kv.createKeys(namespaceOf(request), tokens)
}

/** Sequences of one namespace share KV. */
function namespaceOf({ cacheSalt }: ScheduledRequest): string {
  return cacheSalt === undefined ? '' : `salt:${cacheSalt}`
}

/** Why a prompt that leaves no room for a token is refused. */
export function tooLong(numPrompt: number, maxLength: number): string {
  return (
    `The prompt has ${numPrompt} tokens; at most ${maxLength - 1} fit beside one generated token. ` +
    `It is ${numPrompt + 1 - maxLength} tokens too long.`
  )
}

const noTokens: ReadonlySet<number> = new Set()

/** `endTokenIds`: of the model. */
export function stopTokensOf(
  request: ScheduledRequest,
  endTokenIds: ReadonlySet<number>,
): ReadonlySet<number> {
  const ends = request.ignoreEos ? noTokens : endTokenIds
  return request.stopTokenIds.length === 0 ? ends : new Set([...ends, ...request.stopTokenIds])
}
