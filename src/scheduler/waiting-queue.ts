import { invariant } from '../core/errors.ts'
import type { SchedulingPolicy } from './policy.ts'
import type { Sequence } from './sequence.ts'

/**
 * Waiting sequences in the policy's order: a binary heap in which every member knows its place, so that a cancel
 * is O(log n) too.
 */
export class WaitingQueue {
  readonly #policy: SchedulingPolicy
  readonly #heap: Sequence[] = []

  constructor(policy: SchedulingPolicy) {
    this.#policy = policy
  }

  get size(): number {
    return this.#heap.length
  }

  /** The one to admit next; undefined when nobody waits. */
  peek(): Sequence | undefined {
    return this.#heap[0]
  }

  add(sequence: Sequence): void {
    invariant(sequence.queueIndex < 0, `sequence ${sequence.id} waits twice`)
    this.#heap.push(sequence)
    this.#siftUp(sequence, this.#heap.length - 1)
  }

  remove(sequence: Sequence): void {
    const index = sequence.queueIndex
    invariant(this.#heap[index] === sequence, `sequence ${sequence.id} does not wait`)
    sequence.queueIndex = -1
    const last = this.#heap.pop()!
    if (last === sequence) return
    this.#siftUp(last, index)
    this.#siftDown(last, last.queueIndex)
  }

  /** Restores the order after the policy changed its mind about many. O(n). */
  reorder(): void {
    for (let index = (this.#heap.length >> 1) - 1; index >= 0; index -= 1) {
      this.#siftDown(this.#heap[index]!, index)
    }
  }

  /** In no particular order. */
  values(): readonly Sequence[] {
    return this.#heap
  }

  /** @throws {InvariantError} when a sequence does not know its place, or waits behind one that should follow it. */
  checkInvariants(): void {
    this.#heap.forEach((sequence, index) => {
      invariant(sequence.queueIndex === index, `sequence ${sequence.id} does not know its place in the queue`)
      const parent = this.#heap[(index - 1) >> 1]
      const inOrder = index === 0 || this.#compare(parent!, sequence) <= 0
      invariant(inOrder, `sequence ${sequence.id} waits behind one that should follow it`)
    })
  }

  #compare(a: Sequence, b: Sequence): number {
    return this.#policy.compareWaiting(a, b) || a.request.arrivedAt - b.request.arrivedAt || a.id - b.id
  }

  #place(sequence: Sequence, index: number): void {
    this.#heap[index] = sequence
    sequence.queueIndex = index
  }

  #siftUp(sequence: Sequence, from: number): void {
    let index = from
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = this.#heap[parentIndex]!
      if (this.#compare(parent, sequence) <= 0) break
      this.#place(parent, index)
      index = parentIndex
    }
    this.#place(sequence, index)
  }

  #siftDown(sequence: Sequence, from: number): void {
    let index = from
    for (;;) {
      const left = 2 * index + 1
      if (left >= this.#heap.length) break
      const right = left + 1
      const rightFirst = right < this.#heap.length && this.#compare(this.#heap[right]!, this.#heap[left]!) < 0
      const childIndex = rightFirst ? right : left
      const child = this.#heap[childIndex]!
      if (this.#compare(sequence, child) <= 0) break
      this.#place(child, index)
      index = childIndex
    }
    this.#place(sequence, index)
  }
}
