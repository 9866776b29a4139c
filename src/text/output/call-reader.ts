/** Readers of the part of a call that is behind its opening: JSON in most families. They go character by character. */

/** Told of the calls that a reader finds: `started`, pieces of arguments, `complete`, `ended`, and so on. */
export interface CallSink {
  started(name: string): void
  arguments(text: string): void
  /** The arguments are whole. */
  complete(): void
  /** So is all that belongs to the call; behind this character another one may begin. */
  ended(): void
}

/**
 * `done`: this character was the last one. `bad`: it cannot be here; what there is to be said of calls has been said.
 * Nothing may be pushed after either.
 */
export type ReadStatus = 'more' | 'done' | 'bad'

export interface CallReader {
  push(char: string): ReadStatus
}
