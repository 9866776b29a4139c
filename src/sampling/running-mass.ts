import { weightOf, type CandidateList } from './candidate-list.ts'

/** Sums of candidates' weights in the order of the list, computed as far as somebody asks. Reused scratch. */
export class RunningMass {
  #candidates: CandidateList | undefined
  #inverseTemperature = 1
  #sums = new Float64Array(512)
  #numSums = 0

  start(candidates: CandidateList, inverseTemperature: number): void {
    this.#candidates = candidates
    this.#inverseTemperature = inverseTemperature
    this.#numSums = 0
    if (this.#sums.length < candidates.length) this.#sums = new Float64Array(candidates.length)
  }

  /** Weight of the tokens up to and including `index`. */
  to(index: number): number {
    if (index >= this.#numSums) this.#extend(index)
    return this.#sums[index]!
  }

  /** First of `length` tokens whose sum is at least `bound`. */
  firstFrom(bound: number, length: number): number | undefined {
    for (let index = 0; index < length; index += 1) if (this.to(index) >= bound) return index
    return undefined
  }

  /** First of `length` tokens whose sum is above `bound`. */
  firstAbove(bound: number, length: number): number | undefined {
    for (let index = 0; index < length; index += 1) if (this.to(index) > bound) return index
    return undefined
  }

  #extend(index: number): void {
    const candidates = this.#candidates!
    candidates.sortTo(index)
    const { logits } = candidates
    const best = logits[0]!
    let sum = this.#numSums === 0 ? 0 : this.#sums[this.#numSums - 1]!
    for (let next = this.#numSums; next <= index; next += 1) {
      sum += weightOf(logits[next]!, best, this.#inverseTemperature)
      this.#sums[next] = sum
    }
    this.#numSums = index + 1
  }
}
