import type { Micros, SequenceId } from '../core/units.ts'
import type { SequenceView } from './sequence.ts'

/**
 * Decides order and victims; never allocates, never changes a sequence. A new policy is one file in `policies/`
 * and one line in its registry; the contract suite then runs on it.
 */
export interface SchedulingPolicy {
  readonly name: string
  /**
   * Negative when `a` is admitted before `b`: a total preorder over waiting and preempted sequences. Ties are
   * broken by arrival, then id. Between two calls of `onStepEnd` the order of two sequences may not change.
   */
  compareWaiting(a: SequenceView, b: SequenceView): number
  /**
   * Who gives up its blocks when one of `running` (in order of admission, never empty) needs one. Undefined leaves
   * it to the one that needs it.
   */
  pickVictim(running: readonly SequenceView[]): SequenceView | undefined
  /** Feedback for stateful policies, once per step. True when the order of waiting sequences may have changed. */
  onStepEnd?(step: StepService): boolean
}

/** Who was served in a step, by how many computed tokens. */
export interface StepService {
  readonly now: Micros
  readonly numTokens: ReadonlyMap<SequenceId, number>
}
