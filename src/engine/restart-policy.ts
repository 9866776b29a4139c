/** Whether and when an engine that died is started again. Durations in milliseconds. */
export interface Life {
  /** From the start of the process to its end. */
  readonly lifeMillis: number
  /** A step was finished. */
  readonly hadSteps: boolean
  /** A request may have caused the death: `Quarantine` deals with those. */
  readonly hadSuspects: boolean
}

/** Deaths in a row for which there is nobody to blame: it will not get better. */
const maxHopelessDeaths = 3
/** A process that lives longer did not fail to start. */
const longLife = 10_000
const firstDelay = 100
const longestDelay = 5000

export class RestartPolicy {
  #numHopeless = 0
  #numFruitless = 0

  /** How long to wait before the next start; undefined: give up. The first restart is at once. */
  delayAfter({ lifeMillis, hadSteps, hadSuspects }: Life): number | undefined {
    if (hadSteps || lifeMillis >= longLife) {
      this.#numHopeless = 0
      this.#numFruitless = 0
    }
    this.#numFruitless += 1
    if (!hadSuspects && ++this.#numHopeless >= maxHopelessDeaths) return undefined
    return this.#numFruitless === 1 ? 0 : Math.min(longestDelay, firstDelay * 2 ** (this.#numFruitless - 2))
  }
}
