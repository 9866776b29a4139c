/** What one API key may use; undefined: no limit. */
export interface KeyLimits {
  readonly requestsPerMinute: number | undefined
  /** Prompt and requested output tokens together. */
  readonly tokensPerMinute: number | undefined
  /** Requests that are unfinished at one time, and the tokens that these may come to. */
  readonly maxRequests: number | undefined
  readonly maxTokens: number | undefined
}

export const noLimits: KeyLimits = {
  requestsPerMinute: undefined,
  tokensPerMinute: undefined,
  maxRequests: undefined,
  maxTokens: undefined,
}

/** An API key as the server keeps it: never the key itself. */
export interface ApiKey {
  /** The tenant that its requests are accounted to; undefined: many use the key, and requests say who asks. */
  readonly name: string | undefined
  /** SHA-256 of the key, in lower-case hexadecimal. */
  readonly sha256: string
  readonly weight: number
  /** Classes that its requests may ask for, the first one meant when they do not; empty: any. */
  readonly classes: readonly string[]
  readonly limits: KeyLimits
  /** The server's own: work that limits itself, so that queues and rates neither count nor refuse it. */
  readonly isBackground?: boolean
}

/** A key that opens the server and says nothing else. */
export function sharedKey(sha256: string): ApiKey {
  return { name: undefined, sha256, weight: 1, classes: [], limits: noLimits }
}
