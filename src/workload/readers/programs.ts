/** Turns of sessions whose rows lie between those of others. */
import { micros, type Micros } from '../../core/units.ts'
import type { WorkloadRequest } from '../workload.ts'

/** Sessions remembered at a time. */
const maxSessions = 100_000

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
  #numForgotten = 0

  constructor(limit: number = maxSessions) {
    this.#limit = limit
  }

  get(name: string): Session {
    const program = this.#numForgotten === 0 ? name : `${name}~${this.#numForgotten}`
    return this.#known.get(name) ?? { program, last: undefined, endedAt: 0 }
  }

  remember(name: string, { program }: Session, last: WorkloadRequest, endedAt: number): void {
    this.#known.delete(name)
    this.#known.set(name, { program, last, endedAt })
    if (this.#known.size <= this.#limit) return
    const [oldest] = this.#known.keys()
    this.#known.delete(oldest!)
    this.#numForgotten += 1
  }
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
