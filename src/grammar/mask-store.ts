import type { MatcherState } from './matcher-state.ts'
import { sizeOfMask } from './token-mask.ts'

/** Keeps masks up to a number of bytes, over all grammars; the oldest goes first, and is found again when needed. */
export class MaskStore {
  readonly #maxBytes: number
  readonly #states: Set<MatcherState> = new Set()
  #numBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get numBytes(): number {
    return this.#numBytes
  }

  /** The state has just got its mask. */
  add(state: MatcherState): void {
    this.#states.add(state)
    this.#numBytes += sizeOfMask(state.mask!)
    for (const oldest of this.#states) {
      if (this.#numBytes <= this.#maxBytes || oldest === state) break
      this.#states.delete(oldest)
      this.#numBytes -= sizeOfMask(oldest.mask!)
      oldest.mask = undefined
    }
  }
}
