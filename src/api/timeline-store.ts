import type { Micros } from '../core/units.ts'
import type { SequenceTimings } from '../engine/engine-client.ts'

export interface RequestRecord {
  readonly id: string
  readonly tenant: string
  readonly serviceClass: string
  readonly program: string | undefined
  readonly numPromptTokens: number
  readonly arrivedAt: Micros
  /** One a choice; undefined until it has ended. */
  readonly choices: (ChoiceRecord | undefined)[]
}

export interface ChoiceRecord {
  readonly reason: string
  readonly numPromptTokens: number
  readonly numOutputTokens: number
  readonly timings: SequenceTimings
}

/** The last requests, so that whoever asks can be told where their time went. */
export class TimelineStore {
  readonly #capacity: number
  readonly #records = new Map<string, RequestRecord>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#records.size
  }

  begin(record: RequestRecord): void {
    if (this.#capacity === 0) return
    this.#records.set(record.id, record)
    if (this.#records.size > this.#capacity) this.#records.delete(this.#records.keys().next().value!)
  }

  find(id: string): RequestRecord | undefined {
    return this.#records.get(id)
  }
}
