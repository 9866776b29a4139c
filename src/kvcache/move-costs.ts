/** How an observation fades with every newer one: half after about fourteen. */
const retention = 0.95
/** Until something was moved: this much per transfer, and this many bytes a microsecond. */
const firstMicros = 300
const firstBytesPerMicro = 1000

/** What moving bytes costs, as `fixed + bytes / bandwidth`: least squares of the relative error over moves seen. */
export class MoveCosts {
  /** Weighted sums of 1, x, xx, y, xy with weight 1 / y². */
  readonly #sums = new Float64Array(5)

  constructor() {
    // Small and large: with one point the line would have no slope.
    for (const numBytes of [2 ** 20, 2 ** 24])
      this.observe(numBytes, firstMicros + numBytes / firstBytesPerMicro)
  }

  observe(numBytes: number, micros: number): void {
    if (!(micros > 0) || numBytes <= 0) return
    const weight = 1 / (micros * micros)
    const terms = [1, numBytes, numBytes * numBytes, micros, numBytes * micros]
    terms.forEach((term, index) => {
      this.#sums[index] = retention * this.#sums[index]! + weight * term
    })
  }

  /** Microseconds. */
  predict(numBytes: number): number {
    const [count, x, xx, y, xy] = this.#sums as unknown as [number, number, number, number, number]
    const spread = count * xx - x * x
    const slope = spread > 1e-9 * count * xx ? (count * xy - x * y) / spread : y / x
    const fixed = (y - slope * x) / count
    // A line that falls, or begins below zero, says that one of the two parts cannot be told from the other.
    if (slope <= 0) return y / count
    if (fixed < 0) return (xy / xx) * numBytes
    return fixed + slope * numBytes
  }
}
