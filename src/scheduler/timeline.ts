/**
 * Where each sequence's time went, as intervals without gaps: their sum is the time from arrival to end. Costs a few
 * field writes per sequence and step; like steps of one sequence after each other are one interval.
 */
import { invariant } from '../core/errors.ts'
import { micros, type Micros, type SequenceId } from '../core/units.ts'
import type { SequenceView } from './sequence.ts'
import type { PlanEntry, StepPlan } from './step-plan.ts'

/** Why the first in line was not admitted. */
export type WaitReason =
  | 'places'
  | 'step-budget'
  | 'memory'
  | 'stream-targets'
  | 'shared-prefix'
  | 'preemption'
  /** Blocks are on their way between the pool and the tiers below it. */
  | 'swap'

export const waitReasons: readonly WaitReason[] = [
  'places',
  'step-budget',
  'memory',
  'stream-targets',
  'shared-prefix',
  'preemption',
  'swap',
]

/**
 * `received`: from arrival until it was in the queue, or all that happened in an engine before this one; `queued`;
 * `preempted`: it waits again; `prefill`: a part of its prompt, or of what has to be computed again; `decode`.
 */
export type IntervalKind = 'received' | 'queued' | 'preempted' | 'prefill' | 'decode'

export interface TimelineInterval {
  readonly kind: IntervalKind
  readonly from: Micros
  readonly to: Micros
  readonly numSteps: number
  /** Tokens computed. */
  readonly numTokens: number
  /** Of a wait: for how long which reason kept the first in line from running, in microseconds. */
  readonly waitedFor: Readonly<Partial<Record<WaitReason, number>>>
}

interface Track {
  readonly intervals: { -readonly [Field in keyof TimelineInterval]: TimelineInterval[Field] }[]
  isWaiting: boolean
  hasRun: boolean
  /** End of the last interval. */
  until: Micros
  /** The totals when it began to wait. */
  totals: readonly number[]
}

/** Further intervals of a sequence are added to its last one. */
const mostIntervals = 256
const nothing = {}

export class TimelineRecorder {
  readonly #tracks = new Map<SequenceId, Track>()
  #numWaiting = 0
  /** Micros for which each reason kept the first in line, ever. */
  readonly #totals = waitReasons.map(() => 0)
  #reason: WaitReason | undefined
  #reasonSince: Micros = micros(0)

  get size(): number {
    return this.#tracks.size
  }

  /** It is in the queue now. */
  add({ id, request }: SequenceView, now: Micros): void {
    this.#passTime(now)
    const until = micros(Math.max(now, request.arrivedAt))
    const track: Track = {
      intervals: [],
      isWaiting: true,
      hasRun: false,
      until: request.arrivedAt,
      totals: [],
    }
    append(track, 'received', until, nothing)
    track.totals = [...this.#totals]
    this.#numWaiting += 1
    this.#tracks.set(id, track)
  }

  /** The scheduler has planned a step, or found nothing to do. `reason`: why whoever waits still waits. */
  planned(plan: StepPlan | undefined, reason: WaitReason | undefined, now: Micros): void {
    this.#passTime(now)
    this.#reason = reason
    for (const id of plan?.preempted ?? []) {
      const track = this.#tracks.get(id)
      if (track === undefined) continue
      if (!track.isWaiting) this.#numWaiting += 1
      track.isWaiting = true
      track.totals = [...this.#totals]
    }
    if (this.#numWaiting === 0) return
    for (const { sequenceId } of plan?.entries ?? []) {
      const track = this.#tracks.get(sequenceId)
      if (track?.isWaiting === true) this.#endWait(track, now)
    }
  }

  stepEnded(plan: StepPlan, now: Micros): void {
    for (const entry of plan.entries) {
      const track = this.#tracks.get(entry.sequenceId)
      if (track === undefined) continue
      const last = append(track, kindOf(entry, track), now, nothing)
      last.numSteps += 1
      last.numTokens += entry.tokens.length
    }
  }

  /** The intervals of a sequence that ends now; it is forgotten. */
  finish(id: SequenceId, now: Micros): readonly TimelineInterval[] {
    const track = this.#tracks.get(id)
    invariant(track !== undefined, `sequence ${id} has no timeline`)
    this.#tracks.delete(id)
    this.#passTime(now)
    if (track.isWaiting) this.#endWait(track, now)
    else if (track.until < now) append(track, track.intervals.at(-1)!.kind, now, nothing)
    return track.intervals
  }

  #endWait(track: Track, now: Micros): void {
    const waitedFor: Partial<Record<WaitReason, number>> = {}
    for (const [index, reason] of waitReasons.entries()) {
      const waited = this.#totals[index]! - track.totals[index]!
      if (waited > 0) waitedFor[reason] = waited
    }
    append(track, track.hasRun ? 'preempted' : 'queued', now, waitedFor)
    track.isWaiting = false
    this.#numWaiting -= 1
    track.hasRun = true
  }

  #passTime(now: Micros): void {
    if (this.#reason !== undefined) {
      this.#totals[waitReasons.indexOf(this.#reason)]! += Math.max(0, now - this.#reasonSince)
    }
    this.#reasonSince = now
  }
}

/** A prompt's last token samples like a decode does; what follows on it is one. */
function kindOf({ tokens, samples }: PlanEntry, { intervals }: Track): IntervalKind {
  const last = intervals.at(-1)!.kind
  const isDecode = samples && tokens.length === 1 && (last === 'decode' || last === 'prefill')
  return isDecode ? 'decode' : 'prefill'
}

/** From the end of the last interval; joined with that when it is of the same kind. Returns it. */
function append(
  track: Track,
  kind: IntervalKind,
  now: Micros,
  waitedFor: TimelineInterval['waitedFor'],
): Track['intervals'][number] {
  const { intervals } = track
  let last = intervals.at(-1)
  const to = micros(Math.max(now, track.until))
  if (last === undefined || (last.kind !== kind && intervals.length < mostIntervals)) {
    last = { kind, from: track.until, to, numSteps: 0, numTokens: 0, waitedFor }
    intervals.push(last)
  }
  last.to = to
  track.until = to
  return last
}
