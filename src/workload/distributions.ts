/** Random variables for arrivals, lengths and choices. All draw from a seeded stream. */
import { invariant } from '../core/errors.ts'
import type { RandomStream } from '../core/random.ts'

/** Mean 1. */
export function exponential(random: RandomStream): number {
  // 1 - u is in (0, 1], whose logarithm is finite.
  return -Math.log(1 - random.next())
}

/** Mean 0, deviation 1 (Box and Muller 1958). */
export function normal(random: RandomStream): number {
  return Math.sqrt(2 * exponential(random)) * Math.cos(2 * Math.PI * random.next())
}

/** Log-normal by its mean and coefficient of variation; `cv` 0 is the mean itself. */
export function logNormal(random: RandomStream, mean: number, cv: number): number {
  if (cv === 0) return mean
  const variance = Math.log(1 + cv * cv)
  return mean * Math.exp(Math.sqrt(variance) * normal(random) - variance / 2)
}

/** Scale 1, so mean `shape` (Marsaglia and Tsang 2000, "A simple method for generating gamma variables"). */
export function gamma(random: RandomStream, shape: number): number {
  invariant(shape > 0, `a gamma distribution of shape ${shape}`)
  if (shape < 1) return gamma(random, shape + 1) * (1 - random.next()) ** (1 / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = normal(random)
    const v = (1 + c * x) ** 3
    if (v > 0 && Math.log(1 - random.next()) < (x * x) / 2 + d - d * v + d * Math.log(v)) return d * v
  }
}

/** Scale 1, so mean Γ(1 + 1/shape). */
export function weibull(random: RandomStream, shape: number): number {
  return exponential(random) ** (1 / shape)
}

/** Γ(x) for x >= 1 (Lanczos 1964, g = 7 and nine terms). */
export function gammaFunction(x: number): number {
  let sum = lanczos[0]!
  for (let index = 1; index < lanczos.length; index += 1) sum += lanczos[index]! / (x - 1 + index)
  const t = x + 6.5
  return Math.sqrt(2 * Math.PI) * t ** (x - 0.5) * Math.exp(-t) * sum
}

const lanczos = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
]

/** Index i with a probability in proportion to weight i. */
export class WeightedChoice {
  readonly #cumulative: Float64Array

  /** Weights are not negative, and one of them is above zero. */
  constructor(weights: ArrayLike<number>) {
    this.#cumulative = new Float64Array(weights.length)
    let sum = 0
    for (let index = 0; index < weights.length; index += 1) {
      sum += weights[index]!
      this.#cumulative[index] = sum
    }
    invariant(sum > 0, 'a choice between weights that sum to zero')
  }

  draw(random: RandomStream): number {
    const target = random.next() * this.#cumulative.at(-1)!
    let low = 0
    let high = this.#cumulative.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#cumulative[middle]! > target) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** 1, 1/2^s, 1/3^s, ...; `exponent` 0 makes them equal. */
export function zipfWeights(count: number, exponent: number): number[] {
  return Array.from({ length: count }, (_, index) => (index + 1) ** -exponent)
}
