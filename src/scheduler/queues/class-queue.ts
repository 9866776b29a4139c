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
  /** How many of each class are set aside. */
  readonly #numAside = new Map<string, number>()
  /** Of all of a class that wait, or are set aside. */
  readonly #numTokens = new Map<string, number>()

  constructor(rules: ClassRules<Queue>) {
    this.#rules = rules
  }

  get size(): number {
    let size = 0
    for (const queue of this.#queues.values()) size += queue.size
    return size
  }

  /** Somebody of the class waits, or is set aside. */
  has(className: string): boolean {
    return (this.#queues.get(className)?.size ?? 0) + (this.#numAside.get(className) ?? 0) > 0
  }

  /** All tokens of those of the class that wait, or are set aside. */
  numTokensOf(className: string): number {
    return this.#numTokens.get(className) ?? 0
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
    if (!this.has(name)) this.#rules.onOpen?.(sequence)
    this.queueOf(name).add(sequence)
    this.#countTokens(name, sequence.tokens.length)
  }

  remove(sequence: Sequence): void {
    this.#queueWith(sequence).remove(sequence)
    this.#countTokens(this.#rules.classOf(sequence), -sequence.tokens.length)
  }

  setAside(sequence: Sequence): void {
    this.#queueWith(sequence).setAside(sequence)
    this.#countAside(sequence, 1)
  }

  putBack(sequence: Sequence): void {
    this.#countAside(sequence, -1)
    this.#queueWith(sequence).putBack(sequence)
  }

  *values(): Iterable<Sequence> {
    for (const queue of this.#queues.values()) yield* queue.values()
  }

  checkInvariants(): void {
    for (const [name, queue] of this.#queues) {
      queue.checkInvariants()
      let numTokens = 0
      for (const { tokens } of queue.values()) numTokens += tokens.length
      const isCounted = (this.#numAside.get(name) ?? 0) > 0 || numTokens === this.numTokensOf(name)
      invariant(isCounted, `class ${name} waits with ${numTokens} tokens, not ${this.numTokensOf(name)}`)
    }
  }

  #queueWith(sequence: Sequence): Queue {
    const queue = this.#queues.get(this.#rules.classOf(sequence))
    invariant(queue !== undefined, `sequence ${sequence.id} does not wait`)
    return queue
  }

  #countTokens(name: string, change: number): void {
    this.#numTokens.set(name, this.numTokensOf(name) + change)
  }

  #countAside(sequence: Sequence, change: 1 | -1): void {
    const name = this.#rules.classOf(sequence)
    const count = (this.#numAside.get(name) ?? 0) + change
    invariant(count >= 0, `sequence ${sequence.id} is put back and was not set aside`)
    this.#numAside.set(name, count)
  }
}
