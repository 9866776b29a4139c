/**
 * A workload on one or several engines under a virtual clock. Programs' turns are sent a gap after the turn before
 * has ended, as `bench` does. Whatever decides anything is the code that serves; what is simulated is time.
 * Requests are taken from the workload as their time comes, so that it may be longer than memory.
 */
import { invariant } from '../core/errors.ts'
import { plainTerms, type ScheduledRequest } from '../core/request.ts'
import { greedySampling } from '../core/sampling-params.ts'
import { micros, toRequestId, type Micros, type SequenceId } from '../core/units.ts'
import type { EngineView, RoutingPolicy } from '../fleet/routing-policy.ts'
import type { SequenceResult } from '../scheduler/finished-step.ts'
import type { WorkloadRequest } from '../workload/workload.ts'
import { EventQueue } from './event-queue.ts'
import type { LatencyModel } from './latency/latency-model.ts'
import { continueRuns, runsOf, tokensOf, type Run } from './prompt-runs.ts'
import { RunTokens } from './run-tokens.ts'
import { SimulatedEngine, type PlannerOptions } from './simulated-engine.ts'
import { SimulatedRecord } from './simulated-record.ts'
import { createTurnGate, type TurnGate } from './turn-gate.ts'

export interface SimulationOptions {
  /** In order of arrival, programs' turns in order. */
  readonly requests: Iterable<WorkloadRequest>
  /** Of the workload: tokens that a content id stands for. */
  readonly blockSize: number
  /** Undefined: an open loop. */
  readonly numUsers?: number | undefined
  /** Whether later turns carry the trace's answers, which no server has seen, or the engine's own. */
  readonly history: 'trace' | 'actual'
  readonly engine: PlannerOptions
  readonly latency: LatencyModel
  readonly numEngines: number
  readonly routing: RoutingPolicy
  /** Takes each request as it ends, in the place of `SimulationResult.records`: a long workload leaves nothing then. */
  readonly sink?: RecordSink | undefined
  /** Every step is planned by itself; for tests, which find the same results then. */
  readonly isStepByStep?: boolean
}

export interface RecordSink {
  /** True when `gaps` is to be told of those between its tokens. Their times are known during the call only. */
  ended(record: SimulatedRecord): boolean
  /** So many gaps between tokens were so long, in microseconds. */
  gaps(micros: number, count: number): void
}

export interface SimulationResult {
  /** In order of ending; empty where a sink took them. */
  readonly records: readonly SimulatedRecord[]
  readonly engines: readonly {
    readonly numSteps: number
    readonly busyMicros: number
    readonly numPreemptions: number
  }[]
  readonly endedAt: Micros
}

/** @throws {ServingError} INVALID_CONFIG */
export function simulate(options: SimulationOptions): SimulationResult {
  return new Simulation(options).run()
}

/** One request between its arrival and its end. */
interface Live {
  readonly request: WorkloadRequest
  readonly record: SimulatedRecord
  readonly runs: readonly Run[]
}

/** An engine, who is on it, and how the router sees it. */
interface Place {
  readonly engine: SimulatedEngine
  readonly view: EngineView
  readonly live: Map<SequenceId, Live>
  /** Preempted after their first token, and without a further one since. */
  readonly interrupted: Set<SequenceId>
  /** When its step ends, as far as was told to the queue of events; what was told before counts no longer. */
  endsAt: Micros | undefined
  /** Requests that ended since its steps were looked through for those that nobody needs any more. */
  numEnded: number
}

/** Of one engine, before it looks which of its steps can be forgotten. */
const endsPerLook = 256

/** What a program's next turn needs to know of those before it. */
interface History {
  readonly startedAt: Micros
  readonly runs: readonly Run[]
  readonly numAnswered: number
}

class Simulation {
  readonly #options: SimulationOptions
  readonly #events = new EventQueue()
  readonly #places: readonly Place[]
  readonly #views: readonly EngineView[]
  readonly #gate: TurnGate
  readonly #histories = new Map<string, History>()
  readonly #records: SimulatedRecord[] = []
  #numUnfinished = 0
  #now: Micros = micros(0)
  #endedAt: Micros = micros(0)

  constructor(options: SimulationOptions) {
    this.#options = options
    this.#gate = createTurnGate(options.requests, options.numUsers)
    this.#places = Array.from({ length: options.numEngines }, (_, index) => ({
      engine: new SimulatedEngine(options.engine, options.latency, options.isStepByStep),
      view: { index, numRequests: 0, numTokens: 0 },
      live: new Map(),
      interrupted: new Set(),
      endsAt: undefined,
      numEnded: 0,
    }))
    this.#views = this.#places.map(({ view }) => view)
    const { sink } = options
    if (sink === undefined) return
    for (const { engine } of this.#places) engine.steps.onGaps = (length, count) => sink.gaps(length, count)
  }

  run(): SimulationResult {
    this.#sendDue()
    for (let event = this.#events.take(); event !== undefined; event = this.#events.take()) {
      this.#now = event.at
      event.run(event.at)
    }
    invariant(this.#numUnfinished === 0, `${this.#numUnfinished} requests never ended`)
    if (this.#options.sink !== undefined) for (const { engine } of this.#places) engine.steps.close()
    return {
      records: this.#records,
      engines: this.#places.map(({ engine: { steps, busyMicros, numPreemptions } }) => ({
        numSteps: steps.length,
        busyMicros,
        numPreemptions,
      })),
      endedAt: this.#endedAt,
    }
  }

  #sendDue(): void {
    for (const { index, request, dueAt } of this.#gate.take(this.#now)) {
      this.#events.add(dueAt, 'arrival', (at) => {
        this.#arrive(index, request, at)
        this.#sendDue()
      })
    }
  }

  #arrive(index: number, request: WorkloadRequest, at: Micros): void {
    const { routing, latency } = this.#options
    const history = request.program === undefined ? undefined : this.#histories.get(request.program)
    const runs = this.#runsOf(request, history)
    const generation = toScheduled(index, request, at, { runs, startedAt: history?.startedAt ?? at })
    const { tenant, program } = request
    const isAlone = this.#places.length === 1
    const place =
      this.#places[isAlone ? 0 : routing.route({ tokens: tokensOf(runs), tenant, program }, this.#views)]
    invariant(place !== undefined, `routing policy ${routing.name} chose an engine that is not there`)
    const record = new SimulatedRecord(index, request, at)
    record.bind(place.view.index, place.engine.steps, latency.answerMicros)
    place.view.numRequests += 1
    place.view.numTokens += numTokensOf(request)
    this.#numUnfinished += 1
    const queuedAt = micros(at + latency.requestMicros(request.numPromptTokens))
    this.#events.add(queuedAt, 'queued', (now) =>
      this.#submit(place, generation, { request, record, runs }, now),
    )
  }

  #runsOf(request: WorkloadRequest, history: History | undefined): readonly Run[] {
    const made = runsOf(request, this.#options.blockSize)
    if (history === undefined || request.includesAnswer !== true) return made
    return this.#options.history === 'trace' ? made : continueRuns(made, history.runs, history.numAnswered)
  }

  #submit(place: Place, generation: ScheduledRequest, live: Live, now: Micros): void {
    this.#endedAt = now
    const admission = place.engine.submit(generation, now)
    if (place.engine.isBusy) this.#awaitEnd(place)
    if (admission.kind === 'rejected') {
      live.record.error = admission.message
      this.#end(place, live, now)
      return
    }
    place.live.set(admission.sequence.id, live)
    if (!place.engine.isBusy) this.#events.add(now, 'wake', (at) => this.#begin(place, at))
  }

  #begin(place: Place, now: Micros): void {
    const { engine, live, interrupted } = place
    // Several arrivals wake it at one instant.
    if (engine.isBusy) return
    const plan = engine.begin(now, interrupted.size > 0)
    if (plan === undefined) return
    for (const id of plan.preempted) {
      const { record } = live.get(id)!
      if (!record.isStreaming) continue
      record.endStretch(engine.steps.length - 1)
      interrupted.add(id)
    }
    this.#awaitEnd(place)
  }

  #awaitEnd(place: Place): void {
    const { engine } = place
    const { endsAt } = engine
    if (endsAt === place.endsAt) return
    place.endsAt = endsAt
    this.#events.add(endsAt, 'stepEnded', (at) => {
      if (place.endsAt !== at) return
      place.endsAt = undefined
      this.#endedAt = at
      this.#apply(place, engine.end(at), at)
      this.#begin(place, at)
    })
  }

  /** Hot path: most results are one more token of a stream, of which nothing need be noted. */
  #apply(place: Place, results: readonly SequenceResult[], now: Micros): void {
    const { engine, live, interrupted } = place
    const step = engine.steps.length - 1
    for (const { sequence, finish } of results) {
      const { id } = sequence
      const starts = sequence.firstTokenAt === now || (interrupted.size > 0 && interrupted.delete(id))
      if (!starts && finish === undefined) continue
      const one = live.get(id)!
      if (starts) one.record.startStretch(step)
      if (finish === undefined) continue
      live.delete(id)
      one.record.endStretch(step)
      one.record.finish(sequence)
      this.#end(place, one, micros(now + this.#options.latency.answerMicros))
    }
  }

  /** `at`: when its client knows. */
  #end(place: Place, { request, record, runs }: Live, at: Micros): void {
    const { view } = place
    record.endedAt = at / 1000
    this.#keep(record, place)
    this.#numUnfinished -= 1
    view.numRequests -= 1
    view.numTokens -= numTokensOf(request)
    const { program } = request
    if (program !== undefined) {
      const startedAt = this.#histories.get(program)?.startedAt ?? micros(record.intendedAt * 1000)
      this.#histories.set(program, { startedAt, runs, numAnswered: record.outputTokens })
    }
    this.#gate.ended(request, at)
    this.#sendDue()
  }

  #keep(record: SimulatedRecord, place: Place): void {
    const { sink } = this.#options
    if (sink === undefined) {
      this.#records.push(record)
      return
    }
    if (sink.ended(record)) record.noteGaps()
    place.numEnded += 1
    if (place.numEnded % endsPerLook !== 0) return
    const { steps } = place.engine
    let first = steps.length
    for (const { record: other } of place.live.values()) first = Math.min(first, other.firstStep ?? first)
    steps.forgetBefore(first)
  }
}

const numTokensOf = ({ numPromptTokens, numOutputTokens }: WorkloadRequest): number =>
  numPromptTokens + numOutputTokens

function toScheduled(
  index: number,
  request: WorkloadRequest,
  at: Micros,
  { runs, startedAt }: { readonly runs: readonly Run[]; readonly startedAt: Micros },
): ScheduledRequest {
  const { tenant, program, turn, serviceClass, deadline, numOutputTokens } = request
  // Spelled out: objects that are copied together are slow to read.
  return {
    id: toRequestId(`${index}`),
    promptTokens: RunTokens.of(runs),
    outputTokens: [],
    sampling: greedySampling,
    maxTokens: numOutputTokens,
    stopTokenIds: [],
    ignoreEos: true,
    tenant,
    weight: plainTerms.weight,
    priority: plainTerms.priority,
    program,
    programStartedAt: program === undefined ? undefined : startedAt,
    serviceClass,
    deadline: deadline === undefined ? undefined : micros(startedAt + deadline.after),
    stagesLeft: deadline === undefined ? undefined : deadline.numTurns - 1 - turn,
    arrivedAt: at,
  }
}
