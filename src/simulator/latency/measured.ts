/**
 * A machine's own step times: a sum of terms, each of which rises or stays. Rows of the matrix products cost by the
 * number that kernels see, with a bend at every power of two; so do rows that sample. Keys cost one by one, and those
 * of a chunk once more for being read. A step with a chunk has a shape that none before it had, so that its graph is
 * built: that costs by the sequences in it.
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

type Knots = Pick<StepFit, 'rowKnots' | 'sampleKnots'>

/** How far predictions are from steps that the fit has not seen, as shares of the step's time. */
export interface FitError {
  readonly numFitted: number
  readonly numHeldOut: number
  /** Of the sum of all steps: what a long run would be off by. */
  readonly bias: number
  readonly mean: number
  readonly p50: number
  readonly p90: number
  /** The mean that a perfect prediction would be off by: how much steps differ that do the same. */
  readonly noise: number
}

const allRowKnots = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]
const allSampleKnots = [0, 1, 2, 4, 8, 16, 64]
const numRobustRounds = 20
const numRounds = 6
/** Longer than so many times the prediction: something else had the machine. */
const disturbedFactor = 3

/** Terms that are no ramps. */
export const numPlainTerms = 8

export interface FittedSteps {
  readonly fit: StepFit
  /** Steps that took several times as long as their like: left out, as shares of all steps and of all time. */
  readonly disturbed: { readonly steps: number; readonly time: number }
}

/**
 * First by least absolute error, which a machine that is disturbed now and then does not mislead; then, without the
 * disturbed steps, by least squares, which keeps the mean. Errors are relative: each step counts by what it is
 * predicted to take.
 */
export function fitSteps(samples: readonly StepSample[]): FittedSteps {
  const rough = robustFit(samples)
  const kept = samples.filter(({ shape, micros }) => micros <= disturbedFactor * predictStep(rough, shape))
  const time = totalMicros(samples)
  return {
    fit: refine(kept, rough),
    disturbed: {
      steps: 1 - kept.length / Math.max(1, samples.length),
      time: time === 0 ? 0 : 1 - totalMicros(kept) / time,
    },
  }
}

function robustFit(samples: readonly StepSample[]): StepFit {
  let fit = solve(samples, (micros) => 1 / (micros * micros))
  for (let round = 0; round < numRobustRounds; round += 1) {
    const before = fit
    fit = solve(samples, (micros, shape) => {
      const predicted = Math.max(1, predictStep(before, shape))
      // Far from the truth, a prediction may not decide what counts.
      const scale = Math.min(Math.max(predicted, micros / 3), 3 * micros)
      return 1 / (scale * Math.max(Math.abs(micros - predicted), 0.02 * scale))
    })
  }
  return fit
}

function refine(samples: readonly StepSample[], rough: StepFit): StepFit {
  let fit = rough
  for (let round = 0; round < numRounds; round += 1) {
    const before = fit
    fit = solve(samples, (_, shape) => 1 / Math.max(1, predictStep(before, shape)) ** 2)
  }
  return fit
}

function solve(
  samples: readonly StepSample[],
  weightOf: (micros: number, shape: StepShape) => number,
): StepFit {
  const knots = knotsOf(samples)
  const coefficients = nonNegativeLeastSquares(
    samples.map(({ shape }) => [...featuresOf(shape, knots)]),
    samples.map(({ micros }) => micros),
    samples.map(({ micros, shape }) => weightOf(micros, shape)),
  )
  return { ...knots, coefficients }
}

/** Beyond the largest step seen, the last slope goes on. */
function knotsOf(samples: readonly StepSample[]): Knots {
  const most = (of: (shape: StepShape) => number): number =>
    samples.reduce((largest, { shape }) => Math.max(largest, of(shape)), 1)
  const [mostRows, mostSamples] = [most(({ numTokens }) => numTokens), most(({ numSamples }) => numSamples)]
  return {
    rowKnots: allRowKnots.filter((knot) => knot < mostRows),
    sampleKnots: allSampleKnots.filter((knot) => knot < mostSamples),
  }
}

const totalMicros = (samples: readonly StepSample[]): number => sumOf(samples, ({ micros }) => micros)

function sumOf<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + of(item), 0)
}

export function predictStep(fit: StepFit, shape: StepShape): number {
  return dot(featuresOf(shape, fit), fit.coefficients)
}

/** Every fifth sample is held out of a fit that is made for this alone. Disturbed ones are no measure of it. */
export function heldOutError(samples: readonly StepSample[]): FitError {
  const fitted = samples.filter((_, index) => index % 5 !== 0)
  const { fit } = fitSteps(fitted)
  const heldOut = samples
    .filter((_, index) => index % 5 === 0)
    .map(({ shape, micros }) => ({ micros, predicted: predictStep(fit, shape) }))
    .filter(({ micros, predicted }) => micros <= disturbedFactor * predicted)
  const errors = heldOut
    .map(({ micros, predicted }) => Math.abs(predicted - micros) / micros)
    .toSorted((a, b) => a - b)
  const at = (share: number): number => errors[Math.floor(share * (errors.length - 1))] ?? 0
  const total = sumOf(heldOut, ({ micros }) => micros)
  return {
    numFitted: fitted.length,
    numHeldOut: heldOut.length,
    bias: total === 0 ? 0 : sumOf(heldOut, ({ predicted }) => predicted) / total - 1,
    mean: sumOf(errors, (error) => error) / Math.max(1, errors.length),
    p50: at(0.5),
    p90: at(0.9),
    noise: noiseOf(samples),
  }
}

/** From decode steps one behind the other: the difference of two is that of one from its mean, times root two. */
function noiseOf(samples: readonly StepSample[]): number {
  const differences: number[] = []
  samples.forEach(({ shape, micros }, index) => {
    const before = samples[index - 1]
    const isLike = before?.shape.numSequences === shape.numSequences
    if (!isLike || shape.numChunks > 0 || before.shape.numChunks > 0) return
    const [less, more] = [Math.min(micros, before.micros), Math.max(micros, before.micros)]
    if (more <= disturbedFactor * less) differences.push((more - less) / ((more + less) / 2))
  })
  return sumOf(differences, (difference) => difference) / Math.max(1, differences.length) / Math.SQRT2
}

export interface MeasuredLatency {
  readonly step: StepFit
  readonly request: { readonly micros: number; readonly microsPerToken: number }
  readonly answerMicros: number
}

export function measured({ step, request, answerMicros }: MeasuredLatency): LatencyModel {
  const features = roomFor(step)
  return {
    name: 'measured',
    answerMicros,
    requestMicros: (numPromptTokens) => request.micros + request.microsPerToken * numPromptTokens,
    stepMicros(shape) {
      fillFeatures(features, shape, step)
      return dot(features, step.coefficients)
    },
  }
}

function featuresOf(shape: StepShape, knots: Knots): Float64Array {
  const features = roomFor(knots)
  fillFeatures(features, shape, knots)
  return features
}

const roomFor = ({ rowKnots, sampleKnots }: Knots): Float64Array =>
  new Float64Array(numPlainTerms + rowKnots.length + sampleKnots.length)

/** Hot path of simulations, which ask for every step: nothing is allocated. */
function fillFeatures(features: Float64Array, shape: StepShape, { rowKnots, sampleKnots }: Knots): void {
  const { numSequences, numChunks } = shape
  features[0] = 1
  features[1] = numSequences
  features[2] = numChunks > 0 ? 1 : 0
  features[3] = numChunks > 0 ? numSequences : 0
  features[4] = numChunks
  features[5] = shape.decodeKeys
  features[6] = shape.prefillKeys
  features[7] = shape.chunkKeys
  fillRamps(features, numPlainTerms, kernelRows(shape.numTokens), rowKnots)
  fillRamps(features, numPlainTerms + rowKnots.length, kernelRows(shape.numSamples), sampleKnots)
}

/** Rows are filled up to tiles of four, but for one or two alone: see `executor/step-shape.ts`. */
const kernelRows = (rows: number): number => (rows <= 2 ? rows : Math.ceil(rows / 4) * 4)

/** From `at` on, how much of `value` lies between each knot and the next, the last one without an end. */
function fillRamps(features: Float64Array, at: number, value: number, knots: readonly number[]): void {
  for (let index = 0; index < knots.length; index += 1) {
    features[at + index] = Math.max(0, Math.min(value, knots[index + 1] ?? Infinity) - knots[index]!)
  }
}

function dot(row: Float64Array, coefficients: readonly number[]): number {
  let sum = 0
  for (let index = 0; index < row.length; index += 1) sum += row[index]! * coefficients[index]!
  return sum
}
