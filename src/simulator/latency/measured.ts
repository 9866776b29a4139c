/**
 * A machine's own step times: a sum of ramps, each of which rises or stays. Rows of a step cost by their number, with
 * a bend at every power of two, as kernels have them; rows that sample, keys and sequences cost by themselves.
 */
import type { LatencyModel, StepShape } from './latency-model.ts'
import { nonNegativeLeastSquares } from './least-squares.ts'

export interface StepSample {
  readonly shape: StepShape
  readonly micros: number
}

/** A fit as it is stored: coefficients in microseconds, one for each of `featuresOf`. */
export interface StepFit {
  readonly rowKnots: readonly number[]
  readonly sampleKnots: readonly number[]
  readonly coefficients: readonly number[]
}

/** How far predictions are from steps that the fit has not seen, as shares of the step's time. */
export interface FitError {
  readonly numFitted: number
  readonly numHeldOut: number
  /** Of the sum of all steps: what a long run would be off by. */
  readonly bias: number
  readonly mean: number
  readonly p50: number
  readonly p90: number
}

const rowKnots = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]
const sampleKnots = [0, 1, 4, 16, 64]
const numRounds = 6

/** Each sample counts by its relative error against what the round before predicted: so the mean is kept. */
export function fitSteps(samples: readonly StepSample[]): StepFit {
  const rows = samples.map(({ shape }) => featuresOf(shape, { rowKnots, sampleKnots }))
  const targets = samples.map(({ micros }) => micros)
  let scales = targets
  let coefficients: number[] = []
  for (let round = 0; round < numRounds; round += 1) {
    coefficients = nonNegativeLeastSquares(
      rows,
      targets,
      scales.map((scale) => 1 / (scale * scale)),
    )
    scales = rows.map((row) => Math.max(1, dot(row, coefficients)))
  }
  return { rowKnots, sampleKnots, coefficients }
}

export function predictStep(fit: StepFit, shape: StepShape): number {
  return dot(featuresOf(shape, fit), fit.coefficients)
}

/** Every fifth sample is held out of a fit that is made for this alone. */
export function heldOutError(samples: readonly StepSample[]): FitError {
  const heldOut = samples.filter((_, index) => index % 5 === 0)
  const fitted = samples.filter((_, index) => index % 5 !== 0)
  const fit = fitSteps(fitted)
  const predicted = heldOut.map(({ shape }) => predictStep(fit, shape))
  const errors = heldOut
    .map(({ micros }, index) => Math.abs(predicted[index]! - micros) / micros)
    .toSorted((a, b) => a - b)
  const total = heldOut.reduce((sum, { micros }) => sum + micros, 0)
  const at = (share: number): number => errors[Math.floor(share * (errors.length - 1))] ?? 0
  return {
    numFitted: fitted.length,
    numHeldOut: heldOut.length,
    bias: predicted.reduce((sum, each) => sum + each, 0) / total - 1,
    mean: errors.reduce((sum, error) => sum + error, 0) / errors.length,
    p50: at(0.5),
    p90: at(0.9),
  }
}

export interface MeasuredLatency {
  readonly step: StepFit
  readonly request: { readonly micros: number; readonly microsPerToken: number }
  readonly answerMicros: number
}

export function measured({ step, request, answerMicros }: MeasuredLatency): LatencyModel {
  return {
    name: 'measured',
    answerMicros,
    requestMicros: (numPromptTokens) => request.micros + request.microsPerToken * numPromptTokens,
    stepMicros: (shape) => predictStep(step, shape),
  }
}

function featuresOf(shape: StepShape, knots: Pick<StepFit, 'rowKnots' | 'sampleKnots'>): number[] {
  return [
    1,
    shape.numSequences,
    shape.decodeKeys,
    shape.prefillKeys,
    ...ramps(shape.numTokens, knots.rowKnots),
    ...ramps(shape.numSamples, knots.sampleKnots),
  ]
}

/** How much of `value` lies between each knot and the next, the last one without an end. */
function ramps(value: number, knots: readonly number[]): number[] {
  return knots.map((knot, index) => Math.max(0, Math.min(value, knots[index + 1] ?? Infinity) - knot))
}

function dot(row: readonly number[], coefficients: readonly number[]): number {
  let sum = 0
  for (let index = 0; index < row.length; index += 1) sum += row[index]! * coefficients[index]!
  return sum
}
