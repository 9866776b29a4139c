/** What the limit on lines in flight depends on, as of now. */
export interface Load {
  /** Somebody else's requests are unfinished. */
  readonly hasOthers: boolean
  /** Sequences that the engine has put in no step yet. */
  readonly numWaiting: number
  readonly numRunning: number
}

/** With others about: enough to use what they leave, few enough that their steps stay short. */
const fewest = 2
const atStart = 8

/**
 * How many lines of a batch are in flight at one time. It grows while the engine takes all that it is given, holds
 * when sequences begin to wait there, and falls to `fewest` within a few lines while there is other traffic: sequences
 * of a batch yield their places to others, but they make the steps of others longer.
 */
export class LineLimit {
  readonly #most: number
  #limit: number

  constructor(most: number) {
    this.#most = most
    this.#limit = Math.min(atStart, most)
  }

  get value(): number {
    return this.#limit
  }

  /** After each line that ends. */
  update({ hasOthers, numWaiting, numRunning }: Load): void {
    if (hasOthers) this.#limit = Math.max(Math.min(fewest, this.#most), Math.floor(this.#limit / 2))
    else if (numWaiting <= Math.max(2, numRunning / 4)) this.#limit = Math.min(this.#most, this.#limit + 1)
  }

  /** The server would take no more. */
  refused(): void {
    this.#limit = Math.max(1, Math.floor(this.#limit / 2))
  }
}
