/** When each step of one engine ended, in microseconds: appended to, eight bytes a step. */
export class StepTimes {
  #ends = new Float64Array(1024)
  #length = 0

  get length(): number {
    return this.#length
  }

  push(end: number): void {
    if (this.#length === this.#ends.length) {
      const grown = new Float64Array(2 * this.#length)
      grown.set(this.#ends)
      this.#ends = grown
    }
    this.#ends[this.#length++] = end
  }

  at(index: number): number {
    return this.#ends[index]!
  }
}
