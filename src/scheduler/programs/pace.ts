import type { StepWork } from '../step-work.ts'

const retention = 0.95

/** How long it takes here to compute prompts again: a mean over the steps that carry any, without a model of the machine. */
export class PrefillPace {
  #microsPerToken: number | undefined

  observe({ numPrefillTokens, numDecodes }: StepWork, stepMicros: number): void {
    if (numPrefillTokens === 0) return
    const each = stepMicros / (numPrefillTokens + numDecodes)
    this.#microsPerToken =
      this.#microsPerToken === undefined ? each : retention * this.#microsPerToken + (1 - retention) * each
  }

  /** Microseconds; undefined before any prompt was seen. */
  predict(numTokens: number): number | undefined {
    return this.#microsPerToken === undefined ? undefined : this.#microsPerToken * numTokens
  }
}
