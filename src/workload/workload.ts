import type { Micros } from '../core/units.ts'

/**
 * Names the content of one block of a prompt. Two blocks with the same id have the same tokens; where one of them is
 * cut short by the end of its prompt, it has the first tokens of the other. Ids mean something inside one workload.
 */
export type ContentId = number

/** Latency class as clients name it in `service_tier`; `batch` is work nobody waits for. */
export type ServiceClass = 'priority' | 'default' | 'flex' | 'batch'

/** Shape of one request: who, when, how long, and what it shares; never its text. */
export interface WorkloadRequest {
  /** From the start of the run; of a program's later turns, the earliest instant at which they may be sent. */
  readonly arrival: Micros
  readonly tenant: string
  /** The conversation or agent that it belongs to; undefined for a request that stands alone. */
  readonly program: string | undefined
  /** 0 for the first of its program. A turn is sent after the one before it has ended. */
  readonly turn: number
  /** Between the end of the program's turn before and this one: a tool runs, or a person thinks. */
  readonly gap: Micros
  readonly gapKind: 'tool' | 'think' | undefined
  readonly numPromptTokens: number
  readonly numOutputTokens: number
  /** One for each block of `Workload.blockSize` tokens of the prompt, the last one perhaps partial. */
  readonly blocks: readonly ContentId[]
  /**
   * The prompt starts with the whole prompt of the turn before, its last block included, and its answer. Whoever
   * replays may put the server's own answer there: the prompt keeps its length.
   */
  readonly includesAnswer?: boolean
  /** Of a sub-agent's first turn: it is sent after this turn of another program has ended. */
  readonly after?: TurnReference
  readonly serviceClass: ServiceClass
  /** Of the whole program, the same for each of its turns. */
  readonly deadline?: Deadline
}

/** A workflow that should be done some time after its first request. */
export interface Deadline {
  readonly after: Micros
  readonly numTurns: number
}

export interface TurnReference {
  readonly program: string
  readonly turn: number
}

/** A step in a workload's making, so that a report can say where its load came from. */
export interface Provenance {
  /** `read`, `generate`, `slice`, `scale-rate`, ... */
  readonly action: string
  readonly parameters: Readonly<Record<string, string | number | boolean>>
}

/** Requests in order of arrival, with programs' turns in order. */
export interface Workload {
  readonly name: string
  /** Tokens of prompt that one content id stands for. */
  readonly blockSize: number
  readonly requests: readonly WorkloadRequest[]
  readonly provenance: readonly Provenance[]
}
