import { invariant } from '../../core/errors.ts'
import type { SequenceId } from '../../core/units.ts'
import type { Served, TokenPrices } from '../policy.ts'
import type { SequenceView } from '../sequence.ts'

/** An output token holds a place in the batch for a whole step; OpenAI's prices and VTC's weights say 2 to 4. */
export const defaultPrices: TokenPrices = { prompt: 1, cached: 0.1, output: 2 }

interface Account {
  weight: number
  /** Weighted tokens served, or promised to somebody who was admitted, divided by the weight. */
  counter: number
  /** Sequences that were admitted and have not ended. */
  numAdmitted: number
}

interface Charge {
  readonly account: Account
  readonly name: string
  /** Prompt tokens that have KV, or had it once: what is computed again is nobody's gain. */
  numComputed: number
}

export interface ShareRules {
  readonly prices: TokenPrices
  nameOf(sequence: SequenceView): string
  weightOf(sequence: SequenceView): number
  /** Somebody waits on this account. */
  isWaiting(name: string): boolean
  /** The counter or the load has changed. */
  onChange?(name: string): void
}

/**
 * Virtual token counters: what each account was served, in weighted tokens over its weight. Whoever has the lowest
 * counter goes next; an account that returns from idleness is lifted to the lowest of those that wait, so that
 * idleness earns no credit (Sheng et al., Fairness in Serving Large Language Models, OSDI 2024).
 *
 * A prompt counts as soon as it is admitted, and what of it is never computed is given back; an output token counts
 * when it is sampled. Bound, when the lowest waiting counter is always served first: with at most N sequences running
 * and none ever costing more than C weighted tokens, the counters of two accounts that both wait all the time differ
 * by at most (N + 1) C / w, w the smaller weight, because after an account was last admitted as the lowest it can
 * only be charged for that prompt and for the outputs of what runs. Their gains over any interval therefore differ by
 * at most 2 (N + 1) C / w.
 */
export class FairShare {
  readonly #rules: ShareRules
  readonly #accounts = new Map<string, Account>()
  readonly #charges = new Map<SequenceId, Charge>()
  /** Highest counter at which anybody was admitted: nobody who comes back starts below. */
  #virtualTime = 0
  /** Of all counters there ever were. */
  #highest = 0
  #sweepAbove = 128

  constructor(rules: ShareRules) {
    this.#rules = rules
  }

  get numAccounts(): number {
    return this.#accounts.size
  }

  /** Of an account nobody knows, where it would begin. */
  counterOf(name: string): number {
    return this.#accounts.get(name)?.counter ?? this.#virtualTime
  }

  /** Sequences that were admitted and have not ended, over the weight. */
  loadOf(name: string): number {
    const account = this.#accounts.get(name)
    return account === undefined ? 0 : account.numAdmitted / account.weight
  }

  /**
   * Before the first sequence of an account waits. `leastWaiting`: the lowest counter of those that wait. An account
   * that waits because it lost its place was not idle, and keeps `credit` below that.
   */
  open(sequence: SequenceView, leastWaiting: number | undefined, credit = 0): void {
    const account = this.#accountOf(sequence)
    // After a time without work all begin alike.
    if (leastWaiting === undefined && this.#charges.size === 0) this.#virtualTime = this.#highest
    account.weight = this.#rules.weightOf(sequence)
    const least = leastWaiting ?? this.#leastRunning() ?? this.#virtualTime
    account.counter = Math.max(account.counter, sequence.status === 'preempted' ? least - credit : least)
  }

  /** It leaves the queue to run. */
  admit(sequence: SequenceView): void {
    const name = this.#rules.nameOf(sequence)
    const account = this.#accountOf(sequence)
    this.#virtualTime = Math.max(this.#virtualTime, account.counter)
    if (this.#charges.has(sequence.id)) return
    const numPrompt = sequence.numPromptTokens
    const numCached = Math.min(numPrompt, sequence.numComputedTokens)
    const { prompt, cached } = this.#rules.prices
    account.numAdmitted += 1
    this.#charges.set(sequence.id, { account, name, numComputed: numCached })
    this.#charge(name, account, numCached * cached + (numPrompt - numCached) * prompt)
  }

  /** Token by token: adding up a product would round otherwise, and several steps at once count as one by one. */
  serve({ sequence, position, numTokens, numSamples }: Served): void {
    if (position < sequence.numPromptTokens) this.#notePrompt(sequence, position + numTokens)
    if (numSamples === 0) return
    const name = this.#rules.nameOf(sequence)
    const account = this.#accounts.get(name) ?? this.#accountOf(sequence)
    const price = this.#rules.prices.output / account.weight
    for (let count = 0; count < numSamples; count += 1) account.counter += price
    this.#noteChange(name, account)
  }

  finish(sequence: SequenceView): void {
    const charge = this.#charges.get(sequence.id)
    if (charge === undefined) return
    this.#charges.delete(sequence.id)
    charge.account.numAdmitted -= 1
    const numUncomputed = sequence.numPromptTokens - charge.numComputed
    this.#charge(charge.name, charge.account, -Math.max(0, numUncomputed) * this.#rules.prices.prompt)
    if (this.#accounts.size > this.#sweepAbove) this.#sweep()
  }

  #notePrompt({ id, numPromptTokens }: SequenceView, numComputed: number): void {
    const charge = this.#charges.get(id)
    invariant(charge !== undefined, `sequence ${id} is served without having been admitted`)
    charge.numComputed = Math.max(charge.numComputed, Math.min(numPromptTokens, numComputed))
  }

  #charge(name: string, account: Account, weightedTokens: number): void {
    account.counter += weightedTokens / account.weight
    this.#noteChange(name, account)
  }

  #noteChange(name: string, account: Account): void {
    this.#highest = Math.max(this.#highest, account.counter)
    this.#rules.onChange?.(name)
  }

  #accountOf(sequence: SequenceView): Account {
    const name = this.#rules.nameOf(sequence)
    let account = this.#accounts.get(name)
    if (account === undefined) {
      account = { weight: this.#rules.weightOf(sequence), counter: 0, numAdmitted: 0 }
      this.#accounts.set(name, account)
    }
    return account
  }

  #leastRunning(): number | undefined {
    let least: number | undefined
    for (const { counter, numAdmitted } of this.#accounts.values()) {
      if (numAdmitted > 0 && (least === undefined || counter < least)) least = counter
    }
    return least
  }

  /** Forgets idle accounts that would be lifted above their counter anyhow: nothing is lost with them. */
  #sweep(): void {
    for (const [name, account] of this.#accounts) {
      if (account.counter <= this.#virtualTime && !this.#isActive(name, account)) this.#accounts.delete(name)
    }
    this.#sweepAbove = 2 * this.#accounts.size + 128
  }

  #isActive(name: string, { numAdmitted }: Account): boolean {
    return numAdmitted > 0 || this.#rules.isWaiting(name)
  }
}
