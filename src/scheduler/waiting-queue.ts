import type { Micros } from '../core/units.ts'
import type { Sequence } from './sequence.ts'

/**
 * Waiting and preempted sequences in some order. Orders are built by nesting: a `HeapQueue` keeps an order that stands
 * still, a `LaneQueue` has one queue for each of many tenants, a `ClassQueue` one for each of a few classes.
 */
export interface WaitingQueue {
  readonly size: number
  /** The one to admit next; undefined when nobody waits. */
  peek(now: Micros): Sequence | undefined
  add(sequence: Sequence): void
  remove(sequence: Sequence): void
  /** In no particular order. */
  values(): Iterable<Sequence>
  /** @throws {InvariantError} when the queue has lost its order or a member. */
  checkInvariants(): void
}
