import type { SequenceId } from '../../core/units.ts'
import type { PolicyOptions, SchedulingPolicy, StepService } from '../policy.ts'
import { HeapQueue } from '../queues/heap-queue.ts'
import type { Sequence, SequenceView } from '../sequence.ts'
import type { WaitingQueue } from '../waiting-queue.ts'

/** What a request without a deadline is given, in microseconds from its arrival. */
const spanWithoutDeadline = 60_000_000
/** What one that is late is given then; twice as much each time, and after the last time its place is fixed. */
const firstGrace = 10_000_000
const mostMisses = 3

interface Place {
  /** The latest instant at which it may begin and still end in time, in microseconds. */
  latestStart: number
  numMisses: number
}

/**
 * Whole workflows by their deadlines: least slack first, slack being the time that remains beyond the work that
 * remains, the stages still to come included. Both shrink alike while a request waits, so the order stands still.
 * One that can no longer end in time makes room for those that can, and is placed anew some time later (after
 * modified due dates; Baker and Bertrand, 1982), three times at most. From then on only requests with an earlier
 * latest start pass it, and those arrive before that start or are late themselves: nobody waits for ever.
 */
export function deadline(_options: PolicyOptions = {}): SchedulingPolicy {
  const pace = new Pace()
  const places = new Map<SequenceId, Place>()
  const placeOf = (sequence: SequenceView): Place => {
    let place = places.get(sequence.id)
    if (place === undefined) places.set(sequence.id, (place = firstPlace(sequence, pace)))
    return place
  }
  const slack = (sequence: SequenceView): number => placeOf(sequence).latestStart
  const heap = new HeapQueue((a, b) => slack(a) - slack(b) || a.request.priority - b.request.priority)
  return {
    name: 'deadline',
    createQueue: () => withMisses(heap, placeOf),
    pickVictim: (running) => running.reduce((last, each) => (slack(each) >= slack(last) ? each : last)),
    onStepEnd: (step) => pace.observe(step),
    onFinished: (sequence) => {
      pace.observeOutput(sequence.numOutputTokens)
      places.delete(sequence.id)
    },
  }
}

function firstPlace({ request }: SequenceView, pace: Pace): Place {
  const { arrivedAt, promptTokens, maxTokens, stagesLeft } = request
  const due = request.deadline ?? arrivedAt + spanWithoutDeadline
  const work = pace.workOf(promptTokens.length, maxTokens) * (1 + (stagesLeft ?? 0))
  return { latestStart: due - work, numMisses: 0 }
}

/** The heap, with the first in line placed anew while it can no longer end in time. */
function withMisses(heap: HeapQueue, placeOf: (sequence: Sequence) => Place): WaitingQueue {
  return {
    get size() {
      return heap.size
    },
    peek(now) {
      for (;;) {
        const first = heap.peek()
        if (first === undefined) return undefined
        const place = placeOf(first)
        if (place.latestStart >= now || place.numMisses === mostMisses) return first
        heap.remove(first)
        place.latestStart = now + firstGrace * 2 ** place.numMisses
        place.numMisses += 1
        heap.add(first)
      }
    },
    add: (sequence) => heap.add(sequence),
    remove: (sequence) => heap.remove(sequence),
    setAside: (sequence) => heap.setAside(sequence),
    putBack: (sequence) => heap.putBack(sequence),
    values: () => heap.values(),
    checkInvariants: () => heap.checkInvariants(),
  }
}

const retention = 0.95

/** What work takes here, learned from the steps: microseconds per prompt token and per step. */
class Pace {
  #microsPerPromptToken = 0
  #microsPerStep = 0
  #meanOutput = 128

  observe({ durations, served }: StepService): void {
    let numTokens = 0
    for (const each of served) numTokens += each.numTokens
    for (const stepMicros of durations) {
      this.#microsPerStep = blend(this.#microsPerStep, stepMicros)
      if (numTokens === served.length * durations.length) continue
      this.#microsPerPromptToken = blend(this.#microsPerPromptToken, stepMicros / numTokens)
    }
  }

  observeOutput(numTokens: number): void {
    this.#meanOutput = blend(this.#meanOutput, numTokens)
  }

  /** Microseconds of a request of its own pace; 0 before the first step. */
  workOf(numPromptTokens: number, maxTokens: number): number {
    const numOutput = Math.min(maxTokens, this.#meanOutput)
    return numPromptTokens * this.#microsPerPromptToken + numOutput * this.#microsPerStep
  }
}

function blend(mean: number, value: number): number {
  return mean === 0 ? value : retention * mean + (1 - retention) * value
}
