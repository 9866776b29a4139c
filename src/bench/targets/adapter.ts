import type { Deadline, ServiceClass } from '../../workload/workload.ts'

/** Token ids where the server takes them, else text of about as many tokens. */
export type Prompt =
  | { readonly tokens: readonly number[] }
  | { readonly text: string; readonly numTokens: number }

/** One request as the load generator means it; how a server is told is the adapter's matter. */
export interface Ask {
  readonly model: string
  readonly prompt: Prompt
  /** Exactly so many tokens, where the server can be made to. */
  readonly numOutputTokens: number
  readonly tenant: string
  readonly program: string | undefined
  readonly serviceClass: ServiceClass
  readonly deadline: Deadline | undefined
  /** The answer's token ids, where the server can tell them. */
  readonly wantsTokenIds: boolean
}

/** What one event of an answer says. */
export interface AnswerEvent {
  /** Whether it carries output, shown or not. */
  readonly isToken: boolean
  readonly tokenIds?: readonly number[]
  readonly promptTokens?: number
  readonly cachedTokens?: number
  readonly outputTokens?: number
  /** The server's own words for a failure in the middle of an answer. */
  readonly error?: string
}

/** Names of gauges in a server's `/metrics`; several with one meaning are tried in order. */
export interface MetricNames {
  readonly numRunning: readonly string[]
  readonly numWaiting: readonly string[]
  /** 0 to 1. */
  readonly kvUsage: readonly string[]
}

/** What differs between servers. One file each; `index.ts` lists them in the order in which they are tried. */
export interface TargetAdapter {
  readonly name: string
  /** `GET` of this path tells the server's kind; undefined for the one that takes everybody else. */
  readonly probe: string | undefined
  /** The version from the probe's answer; undefined when it is another server's. */
  recognize(answer: unknown): string | undefined
  readonly takesTokens: boolean
  readonly path: string
  readonly framing: 'sse' | 'lines'
  body(ask: Ask): object
  headers(ask: Ask): Readonly<Record<string, string>>
  /** Undefined: no event of an answer. Fields of the wrong type count as missing. */
  read(event: unknown): AnswerEvent | undefined
  readonly metrics: MetricNames | undefined
}
