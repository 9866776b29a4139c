import { invariant } from '../../core/errors.ts'
import type { Sequence } from '../sequence.ts'
import type { WaitingQueue } from '../waiting-queue.ts'

/** Negative when `a` is admitted before `b`; two sequences keep their order for as long as both wait. */
export type SequenceOrder = (a: Sequence, b: Sequence) => number

/**
 * An order that stands still: a binary heap in which every member knows its place, so that a cancel is O(log n) too.
 * Equals go by arrival, then by id.
 */
export class HeapQueue implements WaitingQueue {
  readonly #order: SequenceOrder
  readonly #heap: Sequence[] = []

  constructor(order: SequenceOrder) {
    this.#order = order
  }

  get size(): number {
    return this.#heap.length
  }

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

  setAside(sequence: Sequence): void {
    this.remove(sequence)
  }

  putBack(sequence: Sequence): void {
    this.add(sequence)
  }

  values(): readonly Sequence[] {
    return this.#heap
  }

  checkInvariants(): void {
    this.#heap.forEach((sequence, index) => {
      invariant(sequence.queueIndex === index, `sequence ${sequence.id} does not know its place in the queue`)
      const parent = this.#heap[(index - 1) >> 1]
      const inOrder = index === 0 || this.#compare(parent!, sequence) <= 0
      invariant(inOrder, `sequence ${sequence.id} waits behind one that should follow it`)
    })
  }

  #compare(a: Sequence, b: Sequence): number {
    return this.#order(a, b) || a.request.arrivedAt - b.request.arrivedAt || a.id - b.id
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
