/** Microseconds of a step by phase; `emit` lies inside `compute`. */
export interface StepProfile {
  readonly schedule: number
  readonly build: number
  readonly compute: number
  readonly sample: number
  readonly emit: number
}

export const emptyProfile: StepProfile = { schedule: 0, build: 0, compute: 0, sample: 0, emit: 0 }

type Lap = 'schedule' | 'launch' | 'emit' | 'wait' | 'sample'

/** Takes the time of one step: each lap is what passed since the one before. */
export class StepStopwatch {
  readonly #laps: Record<Lap, number> = { schedule: 0, launch: 0, emit: 0, wait: 0, sample: 0 }
  readonly #ends: Partial<Record<Lap, number>> = {}
  /** Milliseconds, as all instants here. */
  readonly startedAt = performance.now()
  #last = this.startedAt

  /** When a lap ended; that of one that was not taken is the start. */
  endOf(name: Lap): number {
    return this.#ends[name] ?? this.startedAt
  }

  lap(name: Lap): void {
    const now = performance.now()
    this.#ends[name] = now
    this.#laps[name] += now - this.#last
    this.#last = now
  }

  /** Microseconds from the start to the newest lap. */
  get totalMicros(): number {
    const { schedule, launch, emit, wait, sample } = this.#laps
    return Math.round((schedule + launch + emit + wait + sample) * 1000)
  }

  /** `buildMicros`: the part of the executor's time in which it prepared the step. */
  profile(buildMicros: number): StepProfile {
    const { schedule, launch, emit, wait, sample } = this.#laps
    const toMicros = (milliseconds: number): number => Math.round(milliseconds * 1000)
    return {
      schedule: toMicros(schedule),
      build: buildMicros,
      compute: Math.max(0, toMicros(launch + emit + wait) - buildMicros),
      sample: toMicros(sample),
      emit: toMicros(emit),
    }
  }
}
