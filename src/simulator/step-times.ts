/**
 * When each step of one engine ended, in microseconds: appended to, eight bytes a step, and as many again for the gaps
 * between tokens. Steps that nobody asks for any more can be forgotten.
 */
export class StepTimes {
  /** Told of the gaps between the tokens of noted streams, as steps are forgotten: how long, and how many of that length. */
  onGaps: ((micros: number, count: number) => void) | undefined
  #ends = new Float64Array(1024)
  /** By how many more streams got tokens with a step and with the one before it than with that one and the one before. */
  #gaps = new Float64Array(0)
  #length = 0
  /** The first one that is kept, and the first that anybody may ask for. */
  #first = 0
  #wanted = 0
  /** Those that got tokens with the first one that is kept, and with the one before it. */
  #numStreams = 0

  get length(): number {
    return this.#length
  }

  push(end: number): void {
    if (this.#length - this.#first === this.#ends.length) this.#makeRoom()
    this.#ends[this.#length++ - this.#first] = end
  }

  at(index: number): number {
    return this.#ends[index - this.#first]!
  }

  /** A stream got a token with each of the steps `first` to `last`; `onGaps` is told of the gaps between them. */
  noteStream(first: number, last: number): void {
    if (this.#gaps.length === 0) this.#gaps = new Float64Array(this.#ends.length + 2)
    this.#gaps[first + 1 - this.#first]! += 1
    this.#gaps[last + 1 - this.#first]! -= 1
  }

  /** Nobody will ask for steps before `index`. */
  forgetBefore(index: number): void {
    this.#wanted = index
  }

  /** Forgets all; `onGaps` has been told of everything then. */
  close(): void {
    this.#wanted = this.#length
    this.#forget()
  }

  #makeRoom(): void {
    if (2 * (this.#wanted - this.#first) > this.#ends.length) this.#forget()
    else {
      this.#ends = grown(this.#ends, 2 * this.#ends.length)
      if (this.#gaps.length > 0) this.#gaps = grown(this.#gaps, this.#ends.length + 2)
    }
  }

  /** One before those of interest stays: the next gap begins with it. */
  #forget(): void {
    const numGone = Math.max(0, this.#wanted - 1 - this.#first)
    if (this.#gaps.length > 0) this.#tellGaps(numGone)
    this.#ends.copyWithin(0, numGone)
    this.#first += numGone
  }

  #tellGaps(numGone: number): void {
    for (let index = 1; index <= numGone; index += 1) {
      this.#numStreams += this.#gaps[index]!
      if (this.#numStreams > 0) this.onGaps?.(this.#ends[index]! - this.#ends[index - 1]!, this.#numStreams)
    }
    this.#gaps.copyWithin(0, numGone)
    this.#gaps.fill(0, this.#gaps.length - numGone)
    this.#gaps[0] = 0
  }
}

function grown(array: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const longer = new Float64Array(length)
  longer.set(array)
  return longer
}
