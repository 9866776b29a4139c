/** Rotary position settings for generated models. */
import type { RopeHyperparameters } from '../src/model/rope-hyperparameters.ts'

export const ropeScalings = ['none', 'linear', 'yarn', 'llama3'] as const
export type RopeScaling = (typeof ropeScalings)[number]

interface RopeOptions {
  readonly arch: string
  readonly headDim: number
  readonly context: number
  readonly scaling: RopeScaling | undefined
  readonly factor: number | undefined
}

export function makeRope({
  arch,
  headDim,
  context,
  scaling = 'none',
  factor = 4,
}: RopeOptions): RopeHyperparameters {
  const stretch = scaling === 'none' ? 1 : factor
  return {
    scaling,
    dimensionCount: headDim,
    freqBase: arch === 'llama' ? 10_000 : 1_000_000,
    factor: stretch,
    freqScale: 1 / stretch,
    originalContextLength: Math.floor(context / stretch),
    extFactor: scaling === 'yarn' ? 1 : 0,
    attnFactor: 1,
    betaFast: 32,
    betaSlow: 1,
  }
}

/** Llama 3.1 leaves fast frequencies alone, divides slow ones by the factor, and blends in between. */
export function llama3Factors(rope: RopeHyperparameters): Float32Array {
  const [slowest, fastest] = [1, 4]
  return Float32Array.from({ length: rope.dimensionCount / 2 }, (_, index) => {
    const wavelength = 2 * Math.PI * rope.freqBase ** ((2 * index) / rope.dimensionCount)
    const turns = rope.originalContextLength / wavelength
    if (turns > fastest) return 1
    if (turns < slowest) return rope.factor
    const blend = (turns - slowest) / (fastest - slowest)
    return 1 / ((1 - blend) / rope.factor + blend)
  })
}
