import { invariant } from '../core/errors.ts'
import type { FinishReason } from '../core/request.ts'
import type { Micros } from '../core/units.ts'
import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { Sequence, SequenceView } from './sequence.ts'
import type { PlanEntry } from './step-plan.ts'

/** A sampled token per plan entry; undefined where nothing was sampled, `failed` where sampling broke. */
export type Sampled = number | undefined | 'failed'

/** What happened to one sequence. */
export interface SequenceResult {
  readonly sequence: SequenceView
  /** The token appended in this step, if any; a token that ends the sequence is one. */
  readonly tokenId: number | undefined
  /** Why it ended; undefined when it goes on. */
  readonly finish: FinishReason | undefined
}

/** Notes what a step computed and sampled for one sequence. Undefined: a part of a prompt, and nothing to tell. */
export function applyEntry(
  kv: KvCacheManager,
  sequence: Sequence,
  entry: PlanEntry,
  { sampled, now }: { readonly sampled: Sampled; readonly now: Micros },
): SequenceResult | undefined {
  invariant(sequence.id === entry.sequenceId, 'a sequence left in flight')
  sequence.isInFlight = false
  sequence.numComputedTokens = entry.position + entry.tokens.length
  if (entry.samples && typeof sampled !== 'number') kv.discard(sequence.id)
  else if (sequence.numComputedTokens - (entry.position & -kv.blockSize) >= kv.blockSize)
    kv.noteComputed(sequence.id, sequence.numComputedTokens)
  if (sequence.isCancelled) return { sequence, tokenId: undefined, finish: 'cancelled' }
  if (!entry.samples) return undefined
  if (typeof sampled !== 'number') return { sequence, tokenId: undefined, finish: 'error' }
  // A prompt is complete: others of the same prompt can go on from here.
  if (sequence.firstTokenAt === undefined) kv.noteTail(sequence.id, sequence.numComputedTokens)
  sequence.firstTokenAt ??= now
  sequence.tokens.push(sampled)
  return { sequence, tokenId: sampled, finish: sequence.finishReason }
}
