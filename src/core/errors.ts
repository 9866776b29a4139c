import type { Micros } from './units.ts'

/**
 * Every failure a user can meet has one row here: its code, the HTTP status and OpenAI's error type.
 * How a code becomes an HTTP body is known in `api/errors.ts` alone.
 */
export const errorTable = {
  INVALID_REQUEST: { status: 400, type: 'invalid_request_error' },
  PROMPT_TOO_LONG: { status: 400, type: 'invalid_request_error' },
  TEMPLATE_FAILED: { status: 400, type: 'invalid_request_error' },
  UNAUTHORIZED: { status: 401, type: 'authentication_error' },
  NOT_FOUND: { status: 404, type: 'invalid_request_error' },
  MODEL_NOT_FOUND: { status: 404, type: 'invalid_request_error' },
  METHOD_NOT_ALLOWED: { status: 405, type: 'invalid_request_error' },
  BODY_TOO_LARGE: { status: 413, type: 'invalid_request_error' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, type: 'invalid_request_error' },
  RATE_LIMITED: { status: 429, type: 'rate_limit_error' },
  TOO_LATE: { status: 429, type: 'rate_limit_error' },
  QUEUE_FULL: { status: 429, type: 'rate_limit_error' },
  ABORTED: { status: 499, type: 'server_error' },
  INTERNAL: { status: 500, type: 'server_error' },
  ENGINE_FAILED: { status: 500, type: 'server_error' },
  STORAGE_FULL: { status: 507, type: 'server_error' },
  LOADING: { status: 503, type: 'server_error' },
  DRAINING: { status: 503, type: 'server_error' },
  INVALID_CONFIG: { status: 500, type: 'server_error' },
  INVALID_WORKLOAD: { status: 500, type: 'server_error' },
  INVALID_MODEL: { status: 500, type: 'server_error' },
  LIBRARY_NOT_FOUND: { status: 500, type: 'server_error' },
  LIBRARY_MISMATCH: { status: 500, type: 'server_error' },
} as const satisfies Record<string, { status: number; type: string }>

export type ErrorCode = keyof typeof errorTable

export interface ServingErrorOptions {
  readonly param?: string
  readonly cause?: unknown
  readonly retryAfter?: Micros
}

/** A failure somebody can act on: says what was wrong, where, and what to do. */
export class ServingError extends Error {
  override readonly name = 'ServingError'
  readonly code: ErrorCode
  /** The request field at fault, in OpenAI's notation (`messages[0].content`). */
  readonly param: string | undefined
  /** When trying again makes sense; undefined where nothing is known. */
  readonly retryAfter: Micros | undefined

  constructor(code: ErrorCode, message: string, options: ServingErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.param = options.param
    this.retryAfter = options.retryAfter
  }
}

/** Why something failed, for a message: the code of a failed system call (`ENOENT`), of anything else what it says. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'syscall' in error && 'code' in error ? String(error.code) : error.message
}

/** A broken promise inside the program. Never caught except at the very top. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

/** @throws {InvariantError} when `condition` does not hold. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}
