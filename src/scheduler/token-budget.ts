/**
 * How many prompt tokens a step may carry beside its decodes. Without a target: as many as one batch takes. With one:
 * as many as keep the predicted step below it, so that no stream waits longer than that for its next token
 * (Sarathi-Serve's stall-free batching, with a budget that the machine itself teaches).
 */
import { CostModel, type StepWork } from './cost-model.ts'

/** Prompts make progress even when the decodes alone break the target. */
const smallestChunk = 8
/** Before the model has seen prompts, a chunk that cannot stall anybody for long. */
const cautiousChunk = 16
/** Part of the target to plan for: the rest absorbs what the model does not see. */
const safety = 0.85

export interface TokenBudgetConfig {
  readonly maxNumBatchedTokens: number
  /** Longest step in microseconds while somebody decodes; undefined: no target. */
  readonly maxTbtMicros: number | undefined
}

export class TokenBudget {
  readonly #config: TokenBudgetConfig
  readonly #costs = new CostModel()

  constructor(config: TokenBudgetConfig) {
    this.#config = config
  }

  /** Prompt tokens for a step of `numDecodes` sequences that attend to `decodeKeys` keys in all. */
  prefillTokens(numDecodes: number, decodeKeys: number, prefillContext: number): number {
    const room = Math.max(0, this.#config.maxNumBatchedTokens - numDecodes)
    const target = this.#config.maxTbtMicros
    if (target === undefined || numDecodes === 0) return room
    if (!this.#costs.knowsPrefill) return Math.min(room, cautiousChunk)
    const fits = (chunk: number) =>
      this.#costs.predict({
        numDecodes,
        numPrefillTokens: chunk,
        attendedKeys: decodeKeys + chunk * (prefillContext + chunk / 2),
      }) <=
      target * safety
    let low = Math.min(smallestChunk, room)
    let high = room
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (fits(middle)) low = middle
      else high = middle - 1
    }
    return low
  }

  observe(work: StepWork, stepMicros: number): void {
    if (this.#config.maxTbtMicros !== undefined) this.#costs.observe(work, stepMicros)
  }
}
