/**
 * What a step costs on this machine, learned from the steps themselves: a linear model of the step's work, fitted by
 * recursive least squares with forgetting (Ljung, System Identification, 11.2), so that it follows a machine whose
 * speed changes. Units: microseconds and tokens.
 */

/** The work of one step. */
export interface StepWork {
  readonly numDecodes: number
  readonly numPrefillTokens: number
  /** Sum over rows of the keys each attends to. */
  readonly attendedKeys: number
}

const numFeatures = 4
const forgetting = 0.98
/** A step this many times dearer than predicted was disturbed (collection, another process): it teaches nothing. */
const outlierFactor = 4
const trustedAfter = 8

export class CostModel {
  readonly #weights = new Float64Array(numFeatures)
  readonly #covariance = new Float64Array(numFeatures * numFeatures)
  readonly #features = new Float64Array(numFeatures)
  readonly #gain = new Float64Array(numFeatures)
  #numObservations = 0
  #numPrefills = 0

  constructor() {
    for (let index = 0; index < numFeatures; index++) this.#covariance[index * numFeatures + index] = 1e6
  }

  /** Whether enough steps with prompt tokens were seen to predict one. */
  get knowsPrefill(): boolean {
    return this.#numPrefills >= 3
  }

  predict(work: StepWork): number {
    this.#fill(work)
    let sum = 0
    for (let index = 0; index < numFeatures; index++) {
      sum += Math.max(0, this.#weights[index] ?? 0) * (this.#features[index] ?? 0)
    }
    return sum
  }

  observe(work: StepWork, stepMicros: number): void {
    if (this.#numObservations >= trustedAfter && stepMicros > outlierFactor * this.predict(work)) {
      // Were all steps outliers, the machine has changed: begin to believe it.
      this.#numObservations = Math.max(0, this.#numObservations - 1)
      return
    }
    this.#numObservations = Math.min(this.#numObservations + 1, 4 * trustedAfter)
    if (work.numPrefillTokens > 0) this.#numPrefills++
    this.#fill(work)
    this.#update(stepMicros)
  }

  /** Scaled so that the features are of one order of magnitude. */
  #fill(work: StepWork): void {
    this.#features[0] = 1
    this.#features[1] = work.numDecodes / 8
    this.#features[2] = work.numPrefillTokens / 64
    this.#features[3] = work.attendedKeys / 16_384
  }

  #update(stepMicros: number): void {
    const x = this.#features
    const p = this.#covariance
    let denominator = forgetting
    let error = stepMicros
    for (let row = 0; row < numFeatures; row++) {
      let sum = 0
      for (let column = 0; column < numFeatures; column++) {
        sum += (p[row * numFeatures + column] ?? 0) * (x[column] ?? 0)
      }
      this.#gain[row] = sum
      denominator += sum * (x[row] ?? 0)
      error -= (this.#weights[row] ?? 0) * (x[row] ?? 0)
    }
    for (let row = 0; row < numFeatures; row++) {
      const share = (this.#gain[row] ?? 0) / denominator
      this.#weights[row] = (this.#weights[row] ?? 0) + share * error
      for (let column = 0; column < numFeatures; column++) {
        const index = row * numFeatures + column
        const updated = ((p[index] ?? 0) - share * (this.#gain[column] ?? 0)) / forgetting
        // Directions that no step excites would grow without bound.
        p[index] = Math.min(1e6, Math.max(-1e6, updated))
      }
    }
  }
}
