import type { StepWork } from './step-work.ts'

const numFeatures = 4
/** How much an observation still counts after one newer of its kind: half after about seven. */
const retention = 0.9
/** How much a kind still counts after one step of another kind, and the least that it ever counts. */
const kindRetention = 0.98
const leastKindWeight = 0.02
/** Mean of ln(observed / predicted) over about seven steps at which the machine counts as changed, and what then
 * remains of everything learned. */
const driftLimit = Math.log(1.25)
const driftRetention = 0.85
const changeRetention = 0.1

/** What is kept of the steps of one kind: the sums that least squares needs. */
interface Moments {
  /** Weighted sum of x xᵀ, row by row. */
  readonly products: Float64Array
  /** Weighted sum of x y. */
  readonly targets: Float64Array
  /** Number of the last step of this kind. */
  lastSeen: number
}

/**
 * Predicts a step's time on this machine as `base + a·decodes + b·prefill tokens + c·attended keys`, no coefficient
 * below 0, by least squares of the relative error over the steps seen.
 *
 * Old steps fade per kind (powers of four of both token counts), and a kind that is not seen fades to a small weight
 * but never goes: a thousand decode steps do not wash out what was learned about prefill, as they do in recursive
 * least squares with one forgetting factor. Relative errors also
 * bound what a disturbed step (garbage collection, a cold start) can do: one that took ten times too long weighs a
 * hundredth of a usual one.
 */
export class CostModel {
  readonly #kinds = new Map<number, Moments>()
  #numSteps = 0
  #drift = 0
  #coefficients: readonly number[] | undefined = undefined

  observe(work: StepWork, stepMicros: number): void {
    this.#noticeChange(this.predict(work), stepMicros)
    const kind = kindOf(work)
    let moments = this.#kinds.get(kind)
    if (!moments) {
      const products = new Float64Array(numFeatures ** 2)
      moments = { products, targets: new Float64Array(numFeatures), lastSeen: 0 }
      this.#kinds.set(kind, moments)
    }
    accumulate(moments, work, stepMicros)
    moments.lastSeen = ++this.#numSteps
    this.#coefficients = undefined
  }

  /** Microseconds; 0 before the first observation. */
  predict(work: StepWork): number {
    this.#coefficients ??= fit(this.#kinds.values(), this.#numSteps)
    const [base, perDecode, perPrefillToken, perKey] = this.#coefficients
    return (
      base! +
      perDecode! * work.numDecodes +
      perPrefillToken! * work.numPrefillTokens +
      perKey! * work.attendedKeys
    )
  }

  /** One disturbed step cannot count for more than a factor of two. */
  #noticeChange(predicted: number, observed: number): void {
    if (predicted === 0) return
    const step = Math.max(-Math.LN2, Math.min(Math.LN2, Math.log(observed / predicted)))
    this.#drift = driftRetention * this.#drift + (1 - driftRetention) * step
    if (Math.abs(this.#drift) < driftLimit) return
    this.#drift = 0
    for (const moments of this.#kinds.values()) fade(moments, changeRetention)
  }
}

function fade({ products, targets }: Moments, retained: number): void {
  for (let index = 0; index < products.length; index += 1) products[index]! *= retained
  for (let index = 0; index < targets.length; index += 1) targets[index]! *= retained
}

function kindOf(work: StepWork): number {
  return powerOfFour(work.numDecodes) * 16 + powerOfFour(work.numPrefillTokens)
}

/** 0 for 0, 1 for 1 to 3, 2 for 4 to 15, and so on. */
function powerOfFour(count: number): number {
  return (33 - Math.clz32(count)) >> 1
}

function accumulate(moments: Moments, work: StepWork, stepMicros: number): void {
  const features = [1, work.numDecodes, work.numPrefillTokens, work.attendedKeys]
  const weight = 1 / (stepMicros * stepMicros)
  fade(moments, retention)
  for (let row = 0; row < numFeatures; row += 1) {
    moments.targets[row]! += weight * features[row]! * stepMicros
    for (let column = 0; column < numFeatures; column += 1) {
      moments.products[row * numFeatures + column]! += weight * features[row]! * features[column]!
    }
  }
}

/**
 * Non-negative least squares by trying every set of non-zero coefficients: with four there are fifteen, and the
 * best feasible one is the exact answer.
 */
function fit(kinds: Iterable<Moments>, numSteps: number): readonly number[] {
  const products = new Float64Array(numFeatures ** 2)
  const targets = new Float64Array(numFeatures)
  for (const kind of kinds) {
    const weight = Math.max(leastKindWeight, kindRetention ** (numSteps - kind.lastSeen))
    for (let index = 0; index < products.length; index += 1)
      products[index]! += weight * kind.products[index]!
    for (let index = 0; index < targets.length; index += 1) targets[index]! += weight * kind.targets[index]!
  }
  const scales = Array.from({ length: numFeatures }, (_, index) =>
    Math.sqrt(products[index * (numFeatures + 1)]!),
  )
  let best: readonly number[] = [0, 0, 0, 0]
  let bestGain = 0
  for (let mask = 1; mask < 1 << numFeatures; mask += 1) {
    const solution = solveSubset(products, targets, scales, mask)
    if (!solution) continue
    // At a least-squares solution the squared error has fallen by exactly this much.
    const gain = solution.reduce((sum, value, index) => sum + value * targets[index]!, 0)
    if (gain <= bestGain * (1 + 1e-9)) continue
    best = solution
    bestGain = gain
  }
  return best
}

/** Least squares over the features in `mask`, 0 for the others; undefined when undetermined or one is negative. */
function solveSubset(
  products: Float64Array,
  targets: Float64Array,
  scales: readonly number[],
  mask: number,
): readonly number[] | undefined {
  const chosen = [0, 1, 2, 3].filter((index) => (mask & (1 << index)) !== 0)
  if (chosen.some((index) => scales[index] === 0)) return undefined
  // Scaled to a unit diagonal; the tiny ridge settles what the observations leave open.
  const rows = chosen.map((row) => [
    ...chosen.map(
      (column) =>
        products[row * numFeatures + column]! / (scales[row]! * scales[column]!) +
        (row === column ? 1e-9 : 0),
    ),
    targets[row]! / scales[row]!,
  ])
  const solution = eliminate(rows)
  if (solution.some((value) => !(value >= 0))) return undefined
  const coefficients = [0, 0, 0, 0]
  chosen.forEach((index, position) => {
    coefficients[index] = solution[position]! / scales[index]!
  })
  return coefficients
}

/** Gaussian elimination of a symmetric positive definite system; the right side is the last column. */
function eliminate(rows: number[][]): readonly number[] {
  const size = rows.length
  for (let pivot = 0; pivot < size; pivot += 1) {
    for (let below = pivot + 1; below < size; below += 1) {
      const factor = rows[below]![pivot]! / rows[pivot]![pivot]!
      for (let column = pivot; column <= size; column += 1) {
        rows[below]![column]! -= factor * rows[pivot]![column]!
      }
    }
  }
  const solution = rows.map(() => 0)
  for (let row = size - 1; row >= 0; row -= 1) {
    let value = rows[row]![size]!
    for (let column = row + 1; column < size; column += 1) value -= rows[row]![column]! * solution[column]!
    solution[row] = value / rows[row]![row]!
  }
  return solution
}
