import { ServingError } from '../core/errors.ts'
import { micros, type Micros } from '../core/units.ts'
import { CostModel } from './cost-model.ts'
import type { StepOutlook } from './policy.ts'
import { keysAttended, type StepWork } from './step-work.ts'

export interface TokenBudgetConfig {
  /** Tokens of one step, decodes included: a hard limit. */
  readonly maxNumBatchedTokens: number
  /** Aim for steps no longer than this while anybody decodes, in microseconds; undefined: no aim. */
  readonly maxTbtMicros: number | undefined
}

/** Prompts make progress even when the decodes alone take longer than the target. */
const leastPrefill = 8
/** Part of the target to plan for; the rest absorbs what the model does not see. */
const safety = 0.9
/** Without experience a step carries this many prompt tokens, and then at most twice as many as any step before. */
const firstPrefill = 16
const prefillGrowth = 2

/**
 * How many tokens the step that is being planned may still take. Without a target: what a batch takes. With one: as
 * many prompt tokens as keep the predicted step below it, so that no stream waits longer than that for its next
 * token (stall-free batching as in Sarathi-Serve, with a budget that the machine itself teaches). The planner calls
 * `begin`, then `limit` and `take` for each entry, decodes first; the driver tells through `observe` what came of it.
 */
export class TokenBudget {
  readonly #config: TokenBudgetConfig
  readonly #costs = new CostModel()
  #mostPrefillSeen = 0
  /** What the streams that run were promised; `#target` heeds the configuration too. */
  #streamTarget = Infinity
  #target = Infinity
  /** There was a target once: from then on experience is worth its cost. */
  #learns = false
  #numDecodes = 0
  #numPrefillTokens = 0
  #attendedKeys = 0

  /** @throws {ServingError} INVALID_CONFIG */
  constructor(config: TokenBudgetConfig) {
    requirePositive('maxNumBatchedTokens', config.maxNumBatchedTokens)
    if (config.maxTbtMicros !== undefined) requirePositive('maxTbtMicros', config.maxTbtMicros)
    this.#config = config
    this.#learns = config.maxTbtMicros !== undefined
  }

  /** `tbtTarget`: what the streams that run now bear, in microseconds; the tighter of this and the configured counts. */
  begin(tbtTarget: number = Infinity): void {
    this.#streamTarget = tbtTarget
    this.#target = Math.min(tbtTarget, this.#config.maxTbtMicros ?? Infinity)
    this.#learns ||= this.#target < Infinity
    this.#numDecodes = 0
    this.#numPrefillTokens = 0
    this.#attendedKeys = 0
  }

  /** The work of the step planned since `begin`. */
  get work(): StepWork {
    return {
      numDecodes: this.#numDecodes,
      numPrefillTokens: this.#numPrefillTokens,
      attendedKeys: this.#attendedKeys,
    }
  }

  /** How many of `wanted` tokens at `position` the step can take. */
  limit(position: number, wanted: number): number {
    const room = this.#config.maxNumBatchedTokens - this.#numDecodes - this.#numPrefillTokens
    const most = Math.max(0, Math.min(wanted, room))
    if (most <= 1 || this.#target === Infinity || this.#numDecodes === 0) return most
    const trusted = Math.min(most, this.#mostPrefill - this.#numPrefillTokens)
    const within = longest(trusted, (count) => this.#predictWith(position, count) <= this.#target * safety)
    return Math.min(most, Math.max(within, leastPrefill - this.#numPrefillTokens))
  }

  /**
   * Whether the streams that run bear one more, of `length` tokens, beside them. A target that one stream alone would
   * break binds nobody.
   */
  bearsStream(length: number): boolean {
    if (this.#streamTarget === Infinity || this.#numDecodes === 0) return true
    const alone = this.#costs.predict({ numDecodes: 1, numPrefillTokens: 0, attendedKeys: length })
    if (alone > this.#streamTarget) return true
    const together = {
      numDecodes: this.#numDecodes + 1,
      numPrefillTokens: 0,
      attendedKeys: this.#attendedKeys + length,
    }
    return this.#costs.predict(together) <= this.#streamTarget
  }

  /** Whether the step can take the next token of one more stream, of `length` tokens, within its target. */
  bearsToken(length: number): boolean {
    const numTokens = this.#numDecodes + this.#numPrefillTokens
    if (numTokens >= this.#config.maxNumBatchedTokens) return false
    if (numTokens === 0 || this.#target === Infinity) return true
    const predicted = this.#costs.predict({
      numDecodes: this.#numDecodes + 1,
      numPrefillTokens: this.#numPrefillTokens,
      attendedKeys: this.#attendedKeys + length,
    })
    return predicted <= this.#target * safety
  }

  /** See `StepOutlook`. Undefined while streams bear any step. */
  outlook(now: Micros): StepOutlook | undefined {
    if (this.#streamTarget === Infinity) return undefined
    const room = this.#config.maxNumBatchedTokens
    return {
      now,
      target: micros(this.#streamTarget),
      promptTokensBeside: (numDecodes, attendedKeys) => {
        const within = this.#target * safety
        if (this.#costs.predict({ numDecodes, numPrefillTokens: 0, attendedKeys }) > within) return -1
        const most = Math.min(this.#mostPrefill, room - numDecodes)
        return longest(most, (numPrefillTokens) => {
          const keys = attendedKeys + keysAttended(0, numPrefillTokens)
          return this.#costs.predict({ numDecodes, numPrefillTokens, attendedKeys: keys }) <= within
        })
      },
    }
  }

  /**
   * Predicts how long it takes to compute tokens at a position, in steps like the largest so far, in microseconds;
   * undefined before any prompt was seen. What a step costs beside its tokens is theirs too: apart the two are known
   * much later. From now on it learns from every step.
   */
  learnPrefillTime(): (position: number, numTokens: number) => number | undefined {
    this.#learns = true
    return (position, numTokens) => {
      const most = this.#mostPrefillSeen
      if (most === 0) return undefined
      const work = { numDecodes: 0, numPrefillTokens: most, attendedKeys: keysAttended(position, most) }
      return (this.#costs.predict(work) * numTokens) / most
    }
  }

  take(position: number, numTokens: number, isDecode: boolean): void {
    if (isDecode) this.#numDecodes += 1
    else this.#numPrefillTokens += numTokens
    this.#attendedKeys += keysAttended(position, numTokens)
  }

  /** What a step did, and how long it took. */
  observe(work: StepWork, stepMicros: number): void {
    if (!this.#learns || !(stepMicros > 0)) return
    this.#mostPrefillSeen = Math.max(this.#mostPrefillSeen, work.numPrefillTokens)
    this.#costs.observe(work, stepMicros)
  }

  /** Prompt tokens that a step may be trusted with. */
  get #mostPrefill(): number {
    return Math.max(firstPrefill, prefillGrowth * this.#mostPrefillSeen)
  }

  #predictWith(position: number, numTokens: number): number {
    return this.#costs.predict({
      numDecodes: this.#numDecodes,
      numPrefillTokens: this.#numPrefillTokens + numTokens,
      attendedKeys: this.#attendedKeys + keysAttended(position, numTokens),
    })
  }
}

/** The longest chunk, at most `most` tokens, that is short enough. */
function longest(most: number, isShortEnough: (numTokens: number) => boolean): number {
  let low = 0
  let high = most
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (isShortEnough(middle)) low = middle
    else high = middle - 1
  }
  return low
}

function requirePositive(name: string, value: number): void {
  if (Number.isFinite(value) && value >= 1) return
  throw new ServingError('INVALID_CONFIG', `${name} must be at least 1, not ${value}`, { param: name })
}
