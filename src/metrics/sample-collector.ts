import { summarize, type Summary } from './summary.ts'

/** So many values are kept as they are. */
const mostExact = 1_000_000
const accuracy = 0.001
const growth = Math.log((1 + accuracy) / (1 - accuracy))
/** Values below count as 0, values above as this. */
const leastValue = 1e-6
const mostValue = 1e12
const numBuckets = Math.ceil(Math.log(mostValue / leastValue) / growth) + 2

/**
 * Summary of any number of values of at least 0. Up to a million it is exact; beyond that, percentiles are right to
 * within a thousandth of their value, from counts in buckets that grow by a constant factor (DDSketch: Masson, Rim,
 * Lee, 2019).
 */
export class SampleCollector {
  readonly #mostExact: number
  #values: number[] = []
  #buckets: Float64Array | undefined
  #count = 0
  #sum = 0
  #min = Infinity
  #max = -Infinity

  /** `mostExact`: another limit up to which the summary is exact. */
  constructor(limit = mostExact) {
    this.#mostExact = limit
  }

  /** So many times. */
  add(value: number, times = 1): void {
    this.#count += times
    this.#sum += times * value
    if (value < this.#min) this.#min = value
    if (value > this.#max) this.#max = value
    if (this.#buckets === undefined && this.#values.length + times > this.#mostExact) this.#pour()
    if (this.#buckets !== undefined) this.#buckets[bucketOf(value)]! += times
    else for (let count = 0; count < times; count += 1) this.#values.push(value)
  }

  /** Undefined without values. */
  summary(): Summary | undefined {
    const buckets = this.#buckets
    if (buckets === undefined) return summarize(this.#values)
    const at = (share: number): number => {
      const wanted = share * (this.#count - 1)
      let below = 0
      for (let bucket = 0; bucket < numBuckets; bucket += 1) {
        below += buckets[bucket]!
        if (below > wanted) return Math.min(this.#max, Math.max(this.#min, valueOf(bucket)))
      }
      return this.#max
    }
    return {
      count: this.#count,
      mean: this.#sum / this.#count,
      min: this.#min,
      p50: at(0.5),
      p90: at(0.9),
      p99: at(0.99),
      max: this.#max,
    }
  }

  #pour(): void {
    const buckets = new Float64Array(numBuckets)
    for (const value of this.#values) buckets[bucketOf(value)]! += 1
    this.#buckets = buckets
    this.#values = []
  }
}

function bucketOf(value: number): number {
  if (!(value > leastValue)) return 0
  return Math.ceil(Math.log(Math.min(value, mostValue) / leastValue) / growth)
}

/** The middle of a bucket, in ratios. */
function valueOf(bucket: number): number {
  return bucket === 0 ? 0 : leastValue * Math.exp((bucket - 0.5) * growth)
}
