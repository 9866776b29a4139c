/**
 * Finds stop strings in streamed text. Of several, the one that is complete first wins (of two complete at the same
 * character, the longer one), so the result does not depend on how the text is cut into chunks, and generation ends
 * as early as it can. Text that may still turn out to be the beginning of a stop string is held back.
 */
export class StopMatcher {
  readonly #stops: readonly string[]
  readonly #longest: number
  #held = ''
  #matched: string | undefined

  /** Empty stop strings are ignored. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '')
    this.#longest = Math.max(0, ...this.#stops.map((stop) => stop.length))
  }

  /** The stop string found, which is not part of the text. */
  get matched(): string | undefined {
    return this.#matched
  }

  /** Text that is now certain. After `stopped` nothing more comes out. */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    if (this.#matched !== undefined) return { text: '', stopped: true }
    const seen = this.#held + text
    const match = this.#firstComplete(seen)
    if (match !== undefined) {
      this.#matched = match.stop
      this.#held = ''
      return { text: seen.slice(0, match.start), stopped: true }
    }
    const certain = seen.length - this.#undecidedLength(seen)
    this.#held = seen.slice(certain)
    return { text: seen.slice(0, certain), stopped: false }
  }

  /** The text held back when the stream ends without a stop string. */
  flush(): string {
    const rest = this.#held
    this.#held = ''
    return rest
  }

  #firstComplete(seen: string): { readonly stop: string; readonly start: number } | undefined {
    let best: { stop: string; start: number } | undefined
    for (const stop of this.#stops) {
      const start = seen.indexOf(stop)
      if (start === -1) continue
      const end = start + stop.length
      const bestEnd = best === undefined ? Infinity : best.start + best.stop.length
      if (end < bestEnd || (end === bestEnd && best !== undefined && start < best.start))
        best = { stop, start }
    }
    return best
  }

  /** Length of the longest end of `seen` that a stop string begins with. */
  #undecidedLength(seen: string): number {
    for (let length = Math.min(this.#longest - 1, seen.length); length > 0; length--) {
      const end = seen.slice(seen.length - length)
      if (this.#stops.some((stop) => stop.startsWith(end))) return length
    }
    return 0
  }
}
