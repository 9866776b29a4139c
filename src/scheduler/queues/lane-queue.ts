import { invariant } from '../../core/errors.ts'
import type { Micros } from '../../core/units.ts'
import type { Sequence } from '../sequence.ts'
import type { WaitingQueue } from '../waiting-queue.ts'

export interface LaneRules {
  /** Which lane a sequence waits in; the same for as long as it waits. */
  laneOf(sequence: Sequence): string
  /**
   * The lane with the lowest key goes first; of equal ones that with the lowest load, then the one that somebody
   * waits in longest. Whoever changes either calls `refresh`.
   */
  keyOf(lane: string): number
  loadOf(lane: string): number
  createLane(): WaitingQueue
  /** Called before a sequence takes its place; `isFirst`: nobody waits in its lane. May change that lane's key. */
  onAdd?(sequence: Sequence, isFirst: boolean): void
  /** Who goes first, where that is not the head of the first lane: any sequence that waits. */
  choose?(now: Micros): Sequence | undefined
}

interface Lane {
  readonly name: string
  readonly queue: WaitingQueue
  /** Counts up from lane to lane. */
  readonly number: number
  /** Of its sequences, those that are set aside: its queue does not have them. */
  numAside: number
  key: number
  load: number
  /** Place in the heap; -1 while all are set aside. */
  index: number
}

/**
 * One queue for each of many lanes, such as tenants, and a heap of the lanes where somebody waits: a lane whose key
 * changes moves in O(log lanes), and nobody's place inside a lane is looked at.
 */
export class LaneQueue implements WaitingQueue {
  readonly #rules: LaneRules
  readonly #lanes = new Map<string, Lane>()
  readonly #heap: Lane[] = []
  #size = 0
  #numOpened = 0

  constructor(rules: LaneRules) {
    this.#rules = rules
  }

  get size(): number {
    return this.#size
  }

  /** Key of the first lane; undefined when nobody waits. */
  get leastKey(): number | undefined {
    return this.#heap[0]?.key
  }

  peek(now: Micros): Sequence | undefined {
    return this.#rules.choose === undefined ? this.#heap[0]?.queue.peek(now) : this.#rules.choose(now)
  }

  /** First sequences of the lanes whose key is at most `limit`, of `most` lanes at most; the first lane's is first. */
  headsWithin(limit: number, most: number, now: Micros): readonly Sequence[] {
    const heads: Sequence[] = []
    const open = [0]
    while (open.length > 0 && heads.length < most) {
      const index = open.shift()!
      const lane = this.#heap[index]
      if (lane === undefined || lane.key > limit) continue
      heads.push(lane.queue.peek(now)!)
      open.push(2 * index + 1, 2 * index + 2)
    }
    return heads
  }

  has(lane: string): boolean {
    return this.#lanes.has(lane)
  }

  add(sequence: Sequence): void {
    const name = this.#rules.laneOf(sequence)
    let lane = this.#lanes.get(name)
    this.#rules.onAdd?.(sequence, lane === undefined)
    lane ??= this.#open(name)
    lane.queue.add(sequence)
    this.#size += 1
    if (lane.index < 0) this.#push(lane)
  }

  remove(sequence: Sequence): void {
    const lane = this.#laneWith(sequence)
    lane.queue.remove(sequence)
    this.#size -= 1
    if (lane.queue.size > 0) return
    this.#pull(lane)
    if (lane.numAside === 0) this.#lanes.delete(lane.name)
  }

  setAside(sequence: Sequence): void {
    const lane = this.#laneWith(sequence)
    lane.queue.setAside(sequence)
    lane.numAside += 1
    this.#size -= 1
    if (lane.queue.size === 0) this.#pull(lane)
  }

  putBack(sequence: Sequence): void {
    const lane = this.#laneWith(sequence)
    invariant(lane.numAside > 0, `sequence ${sequence.id} is put back and was not set aside`)
    lane.queue.putBack(sequence)
    lane.numAside -= 1
    this.#size += 1
    if (lane.index < 0) this.#push(lane)
  }

  /** The lane's key has changed. Lanes where nobody waits are ignored. */
  refresh(name: string): void {
    const lane = this.#lanes.get(name)
    if (lane === undefined) return
    lane.key = this.#rules.keyOf(name)
    lane.load = this.#rules.loadOf(name)
    if (lane.index < 0) return
    this.#siftUp(lane)
    this.#siftDown(lane)
  }

  *values(): Iterable<Sequence> {
    for (const { queue } of this.#heap) yield* queue.values()
  }

  checkInvariants(): void {
    let size = 0
    this.#heap.forEach((lane, index) => {
      invariant(lane.index === index && this.#lanes.get(lane.name) === lane, `lane ${lane.name} is lost`)
      invariant(lane.queue.size > 0, `nobody waits in lane ${lane.name}`)
      const isFresh = lane.key === this.#rules.keyOf(lane.name) && lane.load === this.#rules.loadOf(lane.name)
      invariant(isFresh, `lane ${lane.name} was not told of its new key`)
      invariant(
        index === 0 || !isBefore(lane, this.#heap[(index - 1) >> 1]!),
        `lane ${lane.name} is out of order`,
      )
      lane.queue.checkInvariants()
      size += lane.queue.size
    })
    let numOpen = 0
    for (const { index, queue, numAside } of this.#lanes.values()) {
      invariant(queue.size > 0 === index >= 0 && queue.size + numAside > 0, 'a lane is in the wrong place')
      if (index >= 0) numOpen += 1
    }
    invariant(size === this.#size && numOpen === this.#heap.length, 'the lanes miscount')
  }

  #laneWith(sequence: Sequence): Lane {
    const lane = this.#lanes.get(this.#rules.laneOf(sequence))
    invariant(lane !== undefined, `sequence ${sequence.id} does not wait`)
    return lane
  }

  #open(name: string): Lane {
    const lane: Lane = {
      name,
      queue: this.#rules.createLane(),
      number: this.#numOpened++,
      numAside: 0,
      key: this.#rules.keyOf(name),
      load: this.#rules.loadOf(name),
      index: -1,
    }
    this.#lanes.set(name, lane)
    return lane
  }

  /** Into the heap. */
  #push(lane: Lane): void {
    lane.index = this.#heap.length
    this.#heap.push(lane)
    this.#siftUp(lane)
  }

  /** Out of the heap. */
  #pull(lane: Lane): void {
    const last = this.#heap.pop()!
    if (last !== lane) {
      this.#place(last, lane.index)
      this.#siftUp(last)
      this.#siftDown(last)
    }
    lane.index = -1
  }

  #place(lane: Lane, index: number): void {
    this.#heap[index] = lane
    lane.index = index
  }

  #siftUp(lane: Lane): void {
    while (lane.index > 0) {
      const parent = this.#heap[(lane.index - 1) >> 1]!
      if (!isBefore(lane, parent)) return
      this.#swap(lane, parent)
    }
  }

  #siftDown(lane: Lane): void {
    for (;;) {
      const left = this.#heap[2 * lane.index + 1]
      const right = this.#heap[2 * lane.index + 2]
      const child = right !== undefined && isBefore(right, left!) ? right : left
      if (child === undefined || !isBefore(child, lane)) return
      this.#swap(lane, child)
    }
  }

  #swap(a: Lane, b: Lane): void {
    const { index } = a
    this.#place(a, b.index)
    this.#place(b, index)
  }
}

function isBefore(a: Lane, b: Lane): boolean {
  if (a.key !== b.key) return a.key < b.key
  return a.load === b.load ? a.number < b.number : a.load < b.load
}
