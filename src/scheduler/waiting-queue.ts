import type { Sequence } from './sequence.ts'

/** A binary heap of waiting sequences: the next one on top, O(log n) in and out. */
export class WaitingQueue {
  readonly #heap: Sequence[] = []
  readonly #compare: (a: Sequence, b: Sequence) => number

  constructor(compare: (a: Sequence, b: Sequence) => number) {
    this.#compare = compare
  }

  get size(): number {
    return this.#heap.length
  }

  peek(): Sequence | undefined {
    return this.#heap[0]
  }

  push(sequence: Sequence): void {
    this.#heap.push(sequence)
    this.#rise(this.#heap.length - 1)
  }

  pop(): Sequence | undefined {
    const top = this.#heap[0]
    if (top !== undefined) this.#removeAt(0)
    return top
  }

  /** Rare (a cancelled request): O(n). */
  remove(sequence: Sequence): boolean {
    const index = this.#heap.indexOf(sequence)
    if (index >= 0) this.#removeAt(index)
    return index >= 0
  }

  #removeAt(index: number): void {
    const last = this.#heap.pop()
    if (last === undefined || index === this.#heap.length) return
    this.#heap[index] = last
    this.#rise(index)
    this.#sink(index)
  }

  #before(a: number, b: number): boolean {
    return this.#compare(this.#heap[a] as Sequence, this.#heap[b] as Sequence) < 0
  }

  #swap(a: number, b: number): void {
    const held = this.#heap[a] as Sequence
    this.#heap[a] = this.#heap[b] as Sequence
    this.#heap[b] = held
  }

  #rise(start: number): void {
    let index = start
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#before(index, parent)) return
      this.#swap(index, parent)
      index = parent
    }
  }

  #sink(start: number): void {
    let index = start
    for (;;) {
      const left = 2 * index + 1
      const right = left + 1
      let first = index
      if (left < this.#heap.length && this.#before(left, first)) first = left
      if (right < this.#heap.length && this.#before(right, first)) first = right
      if (first === index) return
      this.#swap(index, first)
      index = first
    }
  }
}
