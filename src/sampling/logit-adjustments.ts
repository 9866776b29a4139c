import type { SamplingParams } from '../core/sampling-params.ts'

/** What is changed about one token's logit. */
interface TouchedToken {
  readonly id: number
  readonly bias: number
  /** In the prompt or the output. */
  seen: boolean
  numOutputs: number
}

/**
 * Logit bias and penalties of one sequence: a map from the few tokens they touch to what they do. Adjusted logits
 * are rounded to float32, the row's own type, so that a list of a few and a copy of the row hold the same values.
 */
export class LogitAdjustments {
  /** Tokens whose logit may differ from the model's, in order of first touch. */
  readonly touched: TouchedToken[] = []
  /** False when nothing can ever be touched. */
  readonly possible: boolean
  readonly #byId = new Map<number, TouchedToken>()
  readonly #params: SamplingParams
  readonly #penalises: boolean
  readonly #raises: boolean
  #limit = Infinity

  constructor(params: SamplingParams, promptTokens: readonly number[], outputTokens: readonly number[]) {
    const { repetitionPenalty, presencePenalty, frequencyPenalty } = params
    this.#params = params
    this.#penalises = repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0
    this.#raises = repetitionPenalty < 1 || presencePenalty < 0 || frequencyPenalty < 0
    this.possible = this.#penalises || params.logitBias.size > 0
    for (const id of params.logitBias.keys()) this.#touch(id)
    if (repetitionPenalty !== 1) for (const id of promptTokens) this.#touch(id).seen = true
    for (const id of outputTokens) this.record(id)
  }

  get size(): number {
    return this.touched.length
  }

  /** Counts a token of the output. */
  record(tokenId: number): void {
    if (!this.#penalises) return
    const token = this.#touch(tokenId)
    token.seen = true
    token.numOutputs += 1
  }

  /** Forgets tokens that the vocabulary does not have: a bias may name any number. */
  limitTo(vocabSize: number): void {
    if (this.#limit === vocabSize) return
    this.#limit = vocabSize
    const inside = this.touched.filter((token) => token.id >= 0 && token.id < vocabSize)
    this.touched.splice(0, this.touched.length, ...inside)
    this.#byId.clear()
    for (const token of inside) this.#byId.set(token.id, token)
  }

  has(tokenId: number): boolean {
    return this.#byId.has(tokenId)
  }

  /** Whether the adjusted logit may be above the model's. */
  mayRaise(token: TouchedToken): boolean {
    return this.#raises || token.bias > 0
  }

  adjust(tokenId: number, logit: number): number {
    const token = this.#byId.get(tokenId)
    if (token === undefined) return logit
    const { repetitionPenalty, presencePenalty, frequencyPenalty } = this.#params
    let value = logit + token.bias
    if (token.seen) value = value > 0 ? value / repetitionPenalty : value * repetitionPenalty
    if (token.numOutputs > 0) value -= token.numOutputs * frequencyPenalty + presencePenalty
    return Math.fround(value)
  }

  #touch(id: number): TouchedToken {
    const known = this.#byId.get(id)
    if (known !== undefined) return known
    const token = { id, bias: this.#params.logitBias.get(id) ?? 0, seen: false, numOutputs: 0 }
    this.#byId.set(id, token)
    this.touched.push(token)
    return token
  }
}
