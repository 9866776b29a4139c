import { uniformAt } from '../core/random.ts'
import type { LogitsRow } from './executor.ts'

/** Logits in [0, 8) that `hash` alone decides; the last token ends the text, with the given probability. */
export function fakeLogits(hash: number, vocabSize: number, endProbability: number): Float32Array {
  const logits = Float32Array.from({ length: vocabSize }, (_, id) => 8 * uniformAt(hash, 1, id))
  logits[vocabSize - 1] = uniformAt(hash, 2, 0) < endProbability ? 1000 : -1000
  return logits
}

/** A row over logits in memory that shows its best `topK` tokens. */
export class FakeRow implements LogitsRow {
  readonly vocabSize: number
  readonly topIds: readonly number[]
  readonly topLogits: readonly number[]
  readonly #logits: Float32Array

  constructor(logits: Float32Array, topK: number) {
    this.#logits = logits
    this.vocabSize = logits.length
    const ids = Array.from(logits.keys())
    this.topIds = ids.toSorted((a, b) => this.logitOf(b) - this.logitOf(a) || a - b).slice(0, topK)
    this.topLogits = this.topIds.map((id) => this.logitOf(id))
  }

  logSumExp(inverseTemperature: number): number {
    const best = (this.topLogits[0] ?? 0) * inverseTemperature
    const sum = this.#logits.reduce((total, logit) => total + Math.exp(logit * inverseTemperature - best), 0)
    return best + Math.log(sum)
  }

  logitOf(tokenId: number): number {
    return this.#logits[tokenId] ?? Number.NEGATIVE_INFINITY
  }

  full(): Float32Array {
    return this.#logits
  }
}
