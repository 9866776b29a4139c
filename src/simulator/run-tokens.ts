import type { GrowingTokens } from '../core/token-list.ts'
import { answerToken, type Run } from './prompt-runs.ts'

/** What every step of an answer computes. */
const oneAnswerToken: readonly number[] = [answerToken]

/** Tokens of which many in a row are equal: kept as runs, a few numbers for thousands of tokens. */
export class RunTokens implements GrowingTokens {
  readonly #tokens: number[]
  /** Where each run ends but the last, which ends with the list. */
  readonly #ends: number[]
  #last: number | undefined
  #length: number

  constructor(tokens: readonly number[], ends: readonly number[], length: number) {
    this.#tokens = tokens.slice()
    this.#ends = ends.slice()
    this.#last = tokens.at(-1)
    this.#length = length
  }

  static of(runs: readonly Run[]): RunTokens {
    const list = new RunTokens([], [], 0)
    for (const { token, length } of runs) list.#add(token, length)
    return list
  }

  get length(): number {
    return this.#length
  }

  at(index: number): number | undefined {
    const position = index < 0 ? this.#length + index : index
    return position < 0 || position >= this.#length ? undefined : this.#tokens[this.runAt(position)]
  }

  slice(start: number, end = this.#length): readonly number[] {
    const to = Math.min(this.#length, end < 0 ? this.#length + end : end)
    let run = this.runAt(start)
    if (to - start === 1 && this.#tokens[run] === answerToken) return oneAnswerToken
    const tokens = Array<number>(Math.max(0, to - start))
    for (let position = start; position < to; run += 1) {
      const token = this.#tokens[run]!
      for (const last = Math.min(to, this.endOf(run)); position < last; position += 1) {
        tokens[position - start] = token
      }
    }
    return tokens
  }

  concat(more: readonly number[]): RunTokens {
    const all = new RunTokens(this.#tokens, this.#ends, this.#length)
    for (const token of more) all.push(token)
    return all
  }

  push(token: number): number {
    if (token !== this.#last) this.#open(token)
    return ++this.#length
  }

  /** The number of the run that a position is in. */
  runAt(position: number): number {
    let low = 0
    let high = this.#ends.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#ends[middle]! > position) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Undefined behind the last run. Neighbours have different ones. */
  tokenOf(run: number): number | undefined {
    return this.#tokens[run]
  }

  endOf(run: number): number {
    return this.#ends[run] ?? this.#length
  }

  #add(token: number, length: number): void {
    if (length > 0 && token !== this.#last) this.#open(token)
    this.#length += length
  }

  #open(token: number): void {
    if (this.#tokens.length > 0) this.#ends.push(this.#length)
    this.#tokens.push(token)
    this.#last = token
  }
}
