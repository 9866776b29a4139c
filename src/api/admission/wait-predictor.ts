import { micros, type Micros } from '../../core/units.ts'

/** Time over which experience fades to half, in microseconds in which somebody waited. */
const halfLife = 20_000_000
/** Without this much experience nothing is said. */
const leastBusy = 2_000_000

/**
 * Predicts times to first token from how fast prompts got theirs lately, while any waited: that speed contains all
 * that slows prompts down, such as full batches and long answers.
 *
 * A tenant has to wait for what is before it: all of it at worst. Where tenants are served fairly it waits, for each
 * token of its own, for as many tokens of each other tenant that waits, by their weights.
 */
export class WaitPredictor {
  /** Weighted prompt tokens that wait for their first token. */
  readonly #waiting = new Map<string, { numTokens: number; weight: number }>()
  #numWaiting = 0
  #numTokensServed = 0
  #busyMicros = 0
  #busySince: Micros = micros(0)

  noteArrival(tenant: string, weight: number, numTokens: number, now: Micros): void {
    if (this.#numWaiting === 0) this.#busySince = now
    this.#numWaiting += 1
    const known = this.#waiting.get(tenant)
    if (known === undefined) this.#waiting.set(tenant, { numTokens, weight })
    else known.numTokens += numTokens
  }

  /** Its first token came, or it ended without one. */
  noteEnd(tenant: string, numTokens: number, gotToken: boolean, now: Micros): void {
    const elapsed = Math.max(0, now - this.#busySince)
    this.#busySince = now
    const kept = 0.5 ** (elapsed / halfLife)
    this.#busyMicros = this.#busyMicros * kept + elapsed
    this.#numTokensServed = this.#numTokensServed * kept + (gotToken ? numTokens : 0)
    this.#numWaiting -= 1
    const known = this.#waiting.get(tenant)
    if (known === undefined) return
    known.numTokens -= numTokens
    if (known.numTokens <= 0) this.#waiting.delete(tenant)
  }

  /** Until the first token of a prompt that arrived now; undefined while too little is known. */
  predict(tenant: string, weight: number, numTokens: number): Micros | undefined {
    if (this.#busyMicros < leastBusy || this.#numTokensServed === 0) return undefined
    const own = (this.#waiting.get(tenant)?.numTokens ?? 0) + numTokens
    let before = own
    for (const [name, other] of this.#waiting) {
      if (name !== tenant) before += Math.min(other.numTokens, (own * other.weight) / weight)
    }
    return micros((before * this.#busyMicros) / this.#numTokensServed)
  }
}
