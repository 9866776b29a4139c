/** Lets so many tasks go on at once; who comes later waits, in order. */
export class Turns {
  #numFree: number
  readonly #waiting: (() => void)[] = []

  constructor(most: number) {
    this.#numFree = most
  }

  /** The task begins before this returns where a turn is free. */
  async take<Result>(task: () => Promise<Result>): Promise<Result> {
    if (this.#numFree > 0) this.#numFree -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#numFree += 1
      else next()
    }
  }
}
