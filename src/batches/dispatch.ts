/** How a line of a batch reaches the part of the server that answers requests of its kind. */
export interface LineRequest {
  /** Such as /v1/chat/completions. */
  readonly endpoint: string
  readonly body: unknown
  readonly tenant: string
  readonly weight: number
  /** The answer is no longer wanted. */
  readonly signal: AbortSignal
}

export interface LineAnswer {
  readonly status: number
  readonly requestId: string
  /** JSON. */
  readonly body: string
}

/** Rejects when the signal says so, and only then. */
export type Dispatch = (request: LineRequest) => Promise<LineAnswer>

/** What the server is doing besides. */
export interface ServerLoad {
  readonly hasOthers: boolean
  readonly numWaiting: number
  readonly numRunning: number
}
