/**
 * What an engine's scheduler was told and what it answered, one JSON value a line: enough to plan every step again.
 * Times are the machine's, in microseconds. Tokens are stood in for: see `TokenChain`.
 */
import type { GenerationRequest } from '../../core/request.ts'
import type { Micros, RequestId } from '../../core/units.ts'
import type { EvictionName } from '../../kvcache/eviction/index.ts'
import type { TransferOutcome } from '../../kvcache/transfer.ts'
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
  /** Blocks went to tiers below the pool, and came back with a content of before. */
  readonly hasTiers: boolean
}

/** A request, with the stand-ins of its tokens. */
export type LoggedRequest = Omit<GenerationRequest, 'sampling' | 'stopTokenIds' | 'race'>

/** Of an entry that sampled: the stand-in; that the token ended the sequence; that sampling broke. 0: nothing. */
export type LoggedSample = number | 'stop' | 'failed'

export type PlanLogLine =
  | { readonly add: LoggedRequest }
  | { readonly cancel: RequestId }
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
