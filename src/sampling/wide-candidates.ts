import type { LogitsRow } from '../executor/executor.ts'
import { allows, type TokenMask } from '../grammar/token-mask.ts'
import { weightOf, type CandidateList } from './candidate-list.ts'
import type { LogitAdjustments } from './logit-adjustments.ts'
import { checkLogit, unusableLogits } from './logit-errors.ts'

/**
 * All tokens of the row, for the decisions that its top cannot make; what a mask denies comes last, with no weight. A row is 150,000 wide and the decision falls
 * mostly within a few hundred tokens, so the order is found by bucket: tokens are dealt into buckets by their
 * distance from the best, and a bucket is sorted when somebody reaches it.
 * @throws {ServingError} `INTERNAL` when the row has a NaN, or no finite best logit.
 */
export function wideCandidates(
  row: LogitsRow,
  adjustments: LogitAdjustments,
  mask?: TokenMask,
): CandidateList {
  list.load(row.full(), adjustments, mask)
  return list
}

const numBuckets = 1024
/** A bucket is a sixteenth wide: the last one takes all that is 64 below the best. */
const bucketsPerUnit = 16
/** An id and an order-preserving image of a float32 share a double's 53 bits. */
const idRange = 2 ** 21

class WideList implements CandidateList {
  length = 0
  readonly isWholeRow = true
  ids = new Int32Array(0)
  logits = new Float32Array(0)
  /** Adjusted logits in order of token id; the bits of the same memory; each token's bucket. */
  #values = new Float32Array(0)
  #bits = new Uint32Array(0)
  #bucketOf = new Uint16Array(0)
  #keys = new Float64Array(0)
  /** Where each bucket ends in `ids`. */
  readonly #ends = new Int32Array(numBuckets)
  #numSorted = 0
  #nextBucket = 0

  load(row: Float32Array, adjustments: LogitAdjustments, mask: TokenMask | undefined): void {
    this.#reserve(row.length)
    const values = this.#values
    values.set(row)
    for (const { id } of adjustments.touched) values[id] = adjustments.adjust(id, values[id]!)
    if (mask !== undefined) deny(values, mask)
    this.#deal(highest(values))
    this.#numSorted = 0
    this.#nextBucket = 0
    this.sortTo(0)
  }

  sortTo(index: number): void {
    while (this.#numSorted <= index) {
      const end = this.#ends[this.#nextBucket]!
      this.#nextBucket += 1
      this.#sortRun(this.#numSorted, end)
      this.#numSorted = end
    }
  }

  exactMass(inverseTemperature: number): number {
    const best = this.logits[0]!
    let mass = 0
    for (const value of this.#values) mass += weightOf(value, best, inverseTemperature)
    return mass
  }

  #reserve(length: number): void {
    if (this.length === length) return
    this.length = length
    this.ids = new Int32Array(length)
    this.logits = new Float32Array(length)
    this.#values = new Float32Array(length)
    this.#bits = new Uint32Array(this.#values.buffer)
    this.#bucketOf = new Uint16Array(length)
    this.#keys = new Float64Array(length)
  }

  /** A counting sort by bucket; within a bucket tokens stay in order of id. */
  #deal(best: number): void {
    const { ids, length } = this
    const values = this.#values
    const bucketOf = this.#bucketOf
    const ends = this.#ends.fill(0)
    for (let id = 0; id < length; id += 1) {
      const bucket = Math.min((best - values[id]!) * bucketsPerUnit, numBuckets - 1) | 0
      bucketOf[id] = bucket
      ends[bucket] = ends[bucket]! + 1
    }
    let start = 0
    for (let bucket = 0; bucket < numBuckets; bucket += 1) {
      const size = ends[bucket]!
      ends[bucket] = start
      start += size
    }
    for (let id = 0; id < length; id += 1) {
      const bucket = bucketOf[id]!
      const place = ends[bucket]!
      ids[place] = id
      ends[bucket] = place + 1
    }
  }

  #sortRun(start: number, end: number): void {
    const keys = this.#keys.subarray(start, end)
    for (let index = start; index < end; index += 1) {
      const id = this.ids[index]!
      keys[index - start] = descendingRank(this.#bits[id]!) * idRange + id
    }
    keys.sort()
    for (let index = start; index < end; index += 1) {
      const id = keys[index - start]! % idRange
      this.ids[index] = id
      this.logits[index] = this.#values[id]!
    }
  }
}

function deny(values: Float32Array, mask: TokenMask): void {
  if (mask.denied !== undefined) for (const id of mask.denied) values[id] = -Infinity
  else for (let id = 0; id < values.length; id += 1) if (!allows(mask, id)) values[id] = -Infinity
}

function highest(values: Float32Array): number {
  let best = -Infinity
  for (let id = 0; id < values.length; id += 1) {
    const value = values[id]!
    if (value > best) best = value
    else if (Number.isNaN(value)) throw unusableLogits(value)
  }
  checkLogit(best)
  return best
}

/** Maps the bits of a float32 to an integer that falls as the float rises; both zeros to the same. */
function descendingRank(bits: number): number {
  if (bits === 0x8000_0000) return 0x7fff_ffff
  return bits > 0x8000_0000 ? bits : 0x7fff_ffff - bits
}

const list = new WideList()
