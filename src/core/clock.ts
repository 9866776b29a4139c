import { micros, type Micros } from './units.ts'

/** Where time comes from. A driver reads it; nothing pure may hold one. */
export interface Clock {
  now(): Micros
}

/** A clock that moves only when told to: for tests and the simulator. */
export class ManualClock implements Clock {
  #now: Micros

  constructor(start: Micros = micros(0)) {
    this.#now = start
  }

  now(): Micros {
    return this.#now
  }

  advance(duration: Micros): Micros {
    this.#now = micros(this.#now + duration)
    return this.#now
  }
}
