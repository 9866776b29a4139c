import type { Micros } from '../core/units.ts'

interface Program {
  readonly startedAt: Micros
  numTurns: number
}

export interface ProgramTurn {
  /** When the program's first request arrived. */
  readonly startedAt: Micros
  /** 0 for the first request. */
  readonly index: number
}

/** Remembers when programs began; of too many it forgets the one that was quiet longest. */
export class ProgramLog {
  readonly #capacity: number
  /** In order of the last request. */
  readonly #programs = new Map<string, Program>()

  constructor(capacity = 10_000) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#programs.size
  }

  /** Counts a request of a program that arrives now. */
  turnOf(tenant: string, program: string, arrivedAt: Micros): ProgramTurn {
    const name = `${tenant.length}:${tenant}${program}`
    const known = this.#programs.get(name) ?? { startedAt: arrivedAt, numTurns: 0 }
    this.#programs.delete(name)
    this.#programs.set(name, known)
    if (this.#programs.size > this.#capacity) this.#programs.delete(this.#programs.keys().next().value!)
    return { startedAt: known.startedAt, index: known.numTurns++ }
  }
}
