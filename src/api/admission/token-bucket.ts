import { micros, type Micros } from '../../core/units.ts'

const minute = 60_000_000

/** A rate limit: so much per minute, a whole minute's worth at once after a quiet one. */
export class TokenBucket {
  readonly perMinute: number
  #available: number
  #at: Micros

  constructor(perMinute: number, now: Micros) {
    this.perMinute = perMinute
    this.#available = perMinute
    this.#at = now
  }

  /** What can be taken now; below 0 after more was used than was foreseen. */
  availableAt(now: Micros): number {
    return Math.min(this.perMinute, this.#available + (Math.max(0, now - this.#at) / minute) * this.perMinute)
  }

  /** How long until `amount` is there; more than the bucket ever holds counts as all that it holds. */
  waitFor(amount: number, now: Micros): Micros {
    const missing = Math.min(amount, this.perMinute) - this.availableAt(now)
    // Less than a thousandth of a microsecond is rounding.
    return micros(Math.max(0, Math.ceil((missing / this.perMinute) * minute - 0.001)))
  }

  /** Negative to give back. */
  take(amount: number, now: Micros): void {
    this.#available = Math.min(this.perMinute, this.availableAt(now) - amount)
    this.#at = now
  }
}
