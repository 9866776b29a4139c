import { millisToMicros, type Micros } from './units.ts'

/** What requests of one latency class are promised, and what share of the machine that may cost. */
export interface ServiceClass {
  readonly name: string
  /** Arrival to first token. */
  readonly ttftTarget: Micros
  /** Between two tokens of an answer; undefined: no aim. */
  readonly tbtTarget: Micros | undefined
  /** Share of the machine that the class gets for certain while it has work, against the other classes' weights. */
  readonly weight: number
  /** Gives up its place to any class that does not. */
  readonly yields: boolean
}

/** OpenAI's service tiers, and `batch` for work nobody waits for. The first is what an unknown name means. */
export const defaultServiceClasses: readonly ServiceClass[] = [
  serviceClass('default', { ttftMs: 2000, tbtMs: undefined, weight: 4, yields: false }),
  serviceClass('priority', { ttftMs: 500, tbtMs: 100, weight: 8, yields: false }),
  serviceClass('flex', { ttftMs: 30_000, tbtMs: undefined, weight: 2, yields: true }),
  serviceClass('batch', { ttftMs: 600_000, tbtMs: undefined, weight: 1, yields: true }),
]

export interface ServiceClassFields {
  readonly ttftMs: number
  readonly tbtMs: number | undefined
  readonly weight: number
  readonly yields: boolean
}

export function serviceClass(name: string, fields: ServiceClassFields): ServiceClass {
  return {
    name,
    ttftTarget: millisToMicros(fields.ttftMs),
    tbtTarget: fields.tbtMs === undefined ? undefined : millisToMicros(fields.tbtMs),
    weight: fields.weight,
    yields: fields.yields,
  }
}
