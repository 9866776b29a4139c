import type { Micros } from '../core/units.ts'
import type { Sequence } from './sequence.ts'

/**
 * Waiting and preempted sequences in some order. Orders are built by nesting: a `HeapQueue` keeps an order that stands
 * still, a `LaneQueue` has one queue for each of many tenants, a `ClassQueue` one for each of a few classes.
 */
export interface WaitingQueue {
  /** Without those set aside. */
  readonly size: number
  /** The one to admit next; undefined when nobody waits. */
  peek(now: Micros): Sequence | undefined
  add(sequence: Sequence): void
  remove(sequence: Sequence): void
  /**
   * Lets one that waits be passed over until `putBack`, without losing its place: whoever it waits for may not count
   * as idle meanwhile, and whoever comes behind it stays behind it.
   */
  setAside(sequence: Sequence): void
  putBack(sequence: Sequence): void
  /** In no particular order. */
  values(): Iterable<Sequence>
  /** @throws {InvariantError} when the queue has lost its order or a member. */
  checkInvariants(): void
}
