import { invariant } from '../../core/errors.ts'
import type { Micros } from '../../core/units.ts'
import type { Sequence } from '../sequence.ts'
import type { WaitingQueue } from '../waiting-queue.ts'

export interface ClassRules<Queue extends WaitingQueue> {
  classOf(sequence: Sequence): string
  /** Negative when the class that `a` heads goes first; looked at anew each time. */
  compareHeads(a: Sequence, b: Sequence, now: Micros): number
  createQueue(className: string): Queue
  /** Called before a sequence takes its place in a class where nobody waits. */
  onOpen?(sequence: Sequence): void
}

/** One queue for each of a few classes, whose heads are compared at every look: their order may follow the clock. */
export class ClassQueue<Queue extends WaitingQueue = WaitingQueue> implements WaitingQueue {
  readonly #rules: ClassRules<Queue>
  readonly #queues = new Map<string, Queue>()

  constructor(rules: ClassRules<Queue>) {
    this.#rules = rules
  }

  get size(): number {
    let size = 0
    for (const queue of this.#queues.values()) size += queue.size
    return size
  }

  /** Somebody of the class waits. */
  has(className: string): boolean {
    return (this.#queues.get(className)?.size ?? 0) > 0
  }

  /** The queue of a class, also when it is empty. */
  queueOf(className: string): Queue {
    let queue = this.#queues.get(className)
    if (queue === undefined) this.#queues.set(className, (queue = this.#rules.createQueue(className)))
    return queue
  }

  peek(now: Micros): Sequence | undefined {
    let first: Sequence | undefined
    for (const queue of this.#queues.values()) {
      const head = queue.peek(now)
      if (head === undefined) continue
      if (first === undefined || this.#rules.compareHeads(head, first, now) < 0) first = head
    }
    return first
  }

  add(sequence: Sequence): void {
    const name = this.#rules.classOf(sequence)
    const queue = this.queueOf(name)
    if (queue.size === 0) this.#rules.onOpen?.(sequence)
    queue.add(sequence)
  }

  remove(sequence: Sequence): void {
    const queue = this.#queues.get(this.#rules.classOf(sequence))
    invariant(queue !== undefined, `sequence ${sequence.id} does not wait`)
    queue.remove(sequence)
  }

  *values(): Iterable<Sequence> {
    for (const queue of this.#queues.values()) yield* queue.values()
  }

  checkInvariants(): void {
    for (const queue of this.#queues.values()) queue.checkInvariants()
  }
}
