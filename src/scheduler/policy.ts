import type { Sequence } from './sequence.ts'

/** Preference, not mechanism: who comes next, and who gives way. Nothing else in the scheduler knows a policy's name. */
export interface SchedulingPolicy {
  readonly name: string
  /** Total order of waiting sequences, the next one first. */
  compareWaiting(a: Sequence, b: Sequence): number
  /** Who gives up its blocks when the pool is empty; `running` is not empty and in order of admission. */
  pickVictim(running: readonly Sequence[]): Sequence
}
