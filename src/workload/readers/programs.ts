/** Turns of sessions whose rows lie between those of others. */
import { micros, type Micros } from '../../core/units.ts'
import type { WorkloadRequest } from '../workload.ts'

/** Memory for sessions, in block ids; each session costs some more for itself. */
const maxRemembered = 2_000_000
const sessionCost = 50

interface Session {
  /** Its name in the workload: a session that comes back after it was forgotten is another program. */
  readonly program: string
  readonly last: WorkloadRequest | undefined
  /** When the last answer was complete, by the trace's clock. */
  readonly endedAt: number
}

/** Remembers the last turn of each session; the one unused for longest is forgotten first. */
export class Sessions {
  readonly #known = new Map<string, Session>()
  readonly #limit: number
  #numRemembered = 0
  #numForgotten = 0

  constructor(limit: number = maxRemembered) {
    this.#limit = limit
  }

  get(name: string): Session {
    const program = this.#numForgotten === 0 ? name : `${name}~${this.#numForgotten}`
    return this.#known.get(name) ?? { program, last: undefined, endedAt: 0 }
  }

  remember(name: string, { program }: Session, last: WorkloadRequest, endedAt: number): void {
    this.#drop(name)
    this.#known.set(name, { program, last, endedAt })
    this.#numRemembered += costOf(last)
    for (const oldest of this.#known.keys()) {
      if (this.#numRemembered <= this.#limit || oldest === name) return
      this.#drop(oldest)
      this.#numForgotten += 1
    }
  }

  #drop(name: string): void {
    this.#numRemembered -= costOf(this.#known.get(name)?.last)
    this.#known.delete(name)
  }
}

function costOf(last: WorkloadRequest | undefined): number {
  return last === undefined ? 0 : last.blocks.length + sessionCost
}

/** The fields that place a turn behind the one before it; of a first turn, `start` is its arrival. */
export function placeTurn(
  previous: WorkloadRequest | undefined,
  start: Micros,
  gap: number,
): Pick<WorkloadRequest, 'arrival' | 'turn' | 'gap'> {
  if (previous === undefined) return { arrival: start, turn: 0, gap: micros(0) }
  const rounded = micros(Math.max(0, gap))
  return { arrival: micros(previous.arrival + rounded), turn: previous.turn + 1, gap: rounded }
}
