import type { Micros } from '../core/units.ts'

/**
 * What comes first of what happens at one instant. Who arrives while a step ends is in the step after it; an idle
 * engine begins once all that arrive at that instant are there.
 */
export const eventRank = { arrival: 0, queued: 1, stepEnded: 2, wake: 3 } as const

export type EventKind = keyof typeof eventRank

export interface SimulatedEvent {
  readonly at: Micros
  readonly kind: EventKind
  readonly run: (at: Micros) => void
}

interface Ordered extends SimulatedEvent {
  readonly sequence: number
}

/** Events by (instant, rank, order of adding): the order depends on nothing else. A binary heap. */
export class EventQueue {
  readonly #heap: Ordered[] = []
  #sequence = 0

  get size(): number {
    return this.#heap.length
  }

  add(at: Micros, kind: EventKind, run: (at: Micros) => void): void {
    const event = { at, kind, run, sequence: this.#sequence++ }
    const heap = this.#heap
    let index = heap.length
    heap.push(event)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(event, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = event
  }

  take(): SimulatedEvent | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1
      if (!isBefore(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
    return first
  }
}

function isBefore(a: Ordered, b: Ordered): boolean {
  if (a.at !== b.at) return a.at < b.at
  if (a.kind !== b.kind) return eventRank[a.kind] < eventRank[b.kind]
  return a.sequence < b.sequence
}
