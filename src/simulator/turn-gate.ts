/** Who may send what when: requests at their own times, later turns after the turn before, users one at a time. */
import { micros, type Micros } from '../core/units.ts'
import { turnKey } from '../workload/check-workload.ts'
import { groupPrograms } from '../workload/group-programs.ts'
import type { WorkloadRequest } from '../workload/workload.ts'

export interface DueRequest {
  readonly index: number
  readonly request: WorkloadRequest
  readonly dueAt: Micros
}

/** Call `take` at the start, whenever a request has become due, and after each `ended`. */
export interface TurnGate {
  /** What is known to be due, now or later; each is handed out once. */
  take(now: Micros): readonly DueRequest[]
  /** The client has the whole answer. */
  ended(request: WorkloadRequest, at: Micros): void
}

export function createTurnGate(requests: Iterable<WorkloadRequest>, numUsers: number | undefined): TurnGate {
  return numUsers === undefined ? new OpenLoop(requests) : new ClosedLoop([...requests], numUsers)
}

/** Looks ahead in the workload only as far as the next request that waits for nobody. */
class OpenLoop implements TurnGate {
  readonly #requests: Iterator<WorkloadRequest>
  readonly #waiting = new Map<string, DueRequest[]>()
  readonly #endedAt = new Map<string, Micros>()
  #due: DueRequest[] = []
  #lookedUntil = -1
  #index = 0

  constructor(requests: Iterable<WorkloadRequest>) {
    this.#requests = requests[Symbol.iterator]()
  }

  take(now: Micros): readonly DueRequest[] {
    while (this.#lookedUntil <= now) this.#look(now)
    if (this.#due.length === 0) return this.#due
    const due = this.#due
    this.#due = []
    return due
  }

  ended({ program, turn }: WorkloadRequest, at: Micros): void {
    if (program === undefined) return
    const key = turnKey({ program, turn })
    this.#endedAt.set(key, at)
    const released = this.#waiting.get(key) ?? []
    this.#waiting.delete(key)
    for (const { index, request } of released) {
      this.#due.push({ index, request, dueAt: afterGap(at, request) })
    }
  }

  #look(now: Micros): void {
    const next = this.#requests.next()
    if (next.done === true) {
      this.#lookedUntil = Infinity
      return
    }
    const request = next.value
    const due = { index: this.#index++, request, dueAt: request.arrival }
    const key = predecessorOf(request)
    if (key === undefined) {
      this.#lookedUntil = request.arrival
      this.#due.push(due)
      return
    }
    const endedAt = this.#endedAt.get(key)
    if (endedAt !== undefined) {
      this.#due.push({ ...due, dueAt: micros(Math.max(now, endedAt + request.gap)) })
      return
    }
    const others = this.#waiting.get(key)
    if (others === undefined) this.#waiting.set(key, [due])
    else others.push(due)
  }
}

/** Nobody reacts at once: what happens at one instant is over before what follows from it. */
const afterGap = (at: Micros, { gap }: WorkloadRequest): Micros => micros(at + Math.max(1, gap))

function predecessorOf({ program, turn, after }: WorkloadRequest): string | undefined {
  if (program !== undefined && turn > 0) return turnKey({ program, turn: turn - 1 })
  return after && turnKey(after)
}

/**
 * Each user sends one program or single request after another. Those that a turn calls wait for it, and then for a
 * user, ahead of all others, as in `bench`.
 */
class ClosedLoop implements TurnGate {
  readonly #requests: readonly WorkloadRequest[]
  /** Programs and single requests that wait for a user, from `#next` on. */
  readonly #jobs: (readonly number[])[] = []
  #next = 0
  readonly #calledBy = new Map<string, (readonly number[])[]>()
  /** What its user sends after each request under way. */
  readonly #rest = new Map<WorkloadRequest, readonly number[]>()
  #numIdle: number
  #due: DueRequest[] = []

  constructor(requests: readonly WorkloadRequest[], numUsers: number) {
    this.#requests = requests
    this.#numIdle = numUsers
    for (const turns of groupPrograms(requests)) {
      const { after } = requests[turns[0]!]!
      const others = after && this.#calledBy.get(turnKey(after))
      if (after === undefined) this.#jobs.push(turns)
      else if (others === undefined) this.#calledBy.set(turnKey(after), [turns])
      else others.push(turns)
    }
    this.#fill(micros(0))
  }

  take(): readonly DueRequest[] {
    const due = this.#due
    this.#due = []
    return due
  }

  ended(request: WorkloadRequest, at: Micros): void {
    const { program, turn } = request
    const called = program === undefined ? undefined : this.#calledBy.get(turnKey({ program, turn }))
    if (called !== undefined) this.#jobs.splice(this.#next, 0, ...called)
    const rest = this.#rest.get(request)!
    this.#rest.delete(request)
    if (rest.length === 0) this.#numIdle += 1
    else this.#send(rest, at)
    this.#fill(at)
  }

  #fill(now: Micros): void {
    while (this.#numIdle > 0 && this.#next < this.#jobs.length) {
      this.#numIdle -= 1
      this.#send(this.#jobs[this.#next++]!, now)
    }
  }

  #send([index, ...rest]: readonly number[], now: Micros): void {
    const request = this.#requests[index!]!
    this.#rest.set(request, rest)
    this.#due.push({ index: index!, request, dueAt: afterGap(now, request) })
  }
}
