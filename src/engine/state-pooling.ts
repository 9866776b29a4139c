/** Makes one vector of the hidden states of a text, chunk by chunk, whatever of it is computed more than once. */
import { invariant } from '../core/errors.ts'
import type { Pooling } from '../core/request.ts'
import type { LogitsNeed } from '../executor/executor.ts'
import type { PlanEntry } from '../scheduler/step-plan.ts'

export class StatePooling {
  readonly #kind: Pooling
  #sums: Float64Array | undefined
  /** Tokens whose states are in the sums: what is computed again after a preemption counts once. */
  #numSeen = 0

  constructor(kind: Pooling) {
    this.#kind = kind
  }

  need({ position, samples }: PlanEntry): LogitsNeed {
    if (this.#kind === 'mean') return { kind: 'states', of: 'all' }
    if (this.#kind === 'cls' && position === 0) return { kind: 'states', of: 'first' }
    return samples ? { kind: 'states', of: 'last' } : { kind: 'none' }
  }

  /** `states`: what the need asked for, one behind the other. */
  add({ position, tokens, samples }: PlanEntry, states: Float32Array): void {
    if (this.#kind === 'mean') this.#addAll(position, tokens.length, states)
    else if (this.#kind === 'cls' ? position === 0 : samples) this.#set(states)
  }

  /** Not before the last chunk. Undefined when a state is not a number. */
  result(): Float32Array | undefined {
    invariant(this.#sums !== undefined, 'a vector without states')
    const vector = Float32Array.from(this.#sums, (sum) => sum / this.#numSeen)
    return vector.every(Number.isFinite) ? vector : undefined
  }

  #set(state: Float32Array): void {
    this.#sums = Float64Array.from(state)
    this.#numSeen = 1
  }

  #addAll(position: number, numTokens: number, states: Float32Array): void {
    const width = states.length / numTokens
    this.#sums ??= new Float64Array(width)
    invariant(position <= this.#numSeen, 'a chunk was left out of a mean')
    for (let index = this.#numSeen - position; index < numTokens; index++) {
      const start = index * width
      for (let at = 0; at < width; at++) this.#sums[at]! += states[start + at]!
      this.#numSeen++
    }
  }
}
