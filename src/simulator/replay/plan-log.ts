/**
 * What an engine's scheduler was told and what it answered, one JSON value a line: enough to plan every step again.
 * Times are the machine's, in microseconds. Tokens are stood in for: see `TokenChain`.
 */
import type { GenerationRequest } from '../../core/request.ts'
import type { Micros, RequestId } from '../../core/units.ts'
import type { EvictionName } from '../../kvcache/eviction/index.ts'
import type { TierSize } from '../../kvcache/kv-tiers.ts'
import type { Transfer, TransferOutcome } from '../../kvcache/transfer.ts'
import type { PlanningOptions } from '../../scheduler/create-scheduler.ts'
import type { StepPlan } from '../../scheduler/step-plan.ts'

export const planLogFormat = 'switchyard-plans/1'

export interface PlanLogHeader {
  readonly format: typeof planLogFormat
  /** Its end tokens are real ones, which no stand-in is equal to. */
  readonly planning: PlanningOptions
  readonly numBlocks: number
  readonly blockSize: number
  readonly eviction: EvictionName | null
  /** Below the pool, fastest first, all empty at the start; null: none. */
  readonly tiers: LoggedTiers | null
}

export interface LoggedTiers {
  readonly sizes: readonly TierSize[]
  readonly bytesPerBlock: number
  /** They held blocks of an engine before this one, or are to outlive it: then plans depend on more than the log. */
  readonly isKept: boolean
}

/** A request, with the stand-ins of its tokens. */
export type LoggedRequest = Omit<GenerationRequest, 'sampling' | 'stopTokenIds' | 'race'>

/** Of an entry that sampled: the stand-in; that the token ended the sequence; that sampling broke. 0: nothing. */
export type LoggedSample = number | 'stop' | 'failed'

export type PlanLogLine =
  | { readonly add: LoggedRequest }
  | { readonly cancel: RequestId }
  | { readonly toolCall: RequestId; readonly tool: string }
  | { readonly moves: string }
  | { readonly moved: TransferOutcome }
  | { readonly plan: string; readonly at: Micros }
  /** The step took `micros`; null: that says nothing about the machine. */
  | { readonly end: readonly LoggedSample[]; readonly at: Micros; readonly micros: number | null }

/**
 * A plan without its tokens, in a line to compare and to read:
 * `step | sequence@position+tokens*[blocks] ... | preempted | copies`, where `*` is there if the entry samples.
 */
export function planLine(plan: StepPlan | undefined): string {
  if (plan === undefined) return 'nothing'
  const { step, entries, preempted, copies } = plan
  const listed = entries.map(({ sequenceId, position, tokens, samples, extents }) => {
    const blocks = extents.map(({ start, length }) => `${start}+${length}`).join(',')
    return `${sequenceId}@${position}+${tokens.length}${samples ? '*' : ''}[${blocks}]`
  })
  const copied = copies.map(({ from, to, numTokens }) => `${from}>${to}:${numTokens}`)
  return `${step} | ${listed.join(' ')} | ${preempted.join(' ')} | ${copied.join(' ')}`
}

/** Transfers in a line: `id out|in reason [blocks] slots of each tier`. Seals depend on the secret of the cache. */
export function movesLine(transfers: readonly Transfer[]): string {
  return transfers
    .map(({ id, kind, reason, extents, slots }) => {
      const blocks = extents.map(({ start, length }) => `${start}+${length}`).join(',')
      return `${id} ${kind} ${reason} [${blocks}] ${slots.map((tier) => tier.join(',')).join('/')}`
    })
    .join('; ')
}
