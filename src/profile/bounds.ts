/**
 * What a step's kernels could not be faster than on a machine with these limits: the slower of computing and of moving
 * bytes (S. Williams, A. Waterman, D. Patterson: Roofline, 2009). Pure.
 */
import type { ModelCosts } from '../simulator/latency/roofline.ts'
import type { ProfiledWork } from './step-times.ts'

/** Measured, not looked up. */
export interface MachineLimits {
  /** Of large matrix products in the model's own type. */
  readonly flopsPerSecond: number
  /** Of large copies and reads, both directions together. */
  readonly bytesPerSecond: number
}

export interface StepBound {
  readonly flops: number
  readonly bytes: number
  /** Microseconds at the limits. */
  readonly computeMicros: number
  readonly memoryMicros: number
}

export interface BoundModel extends ModelCosts {
  /** Of the cache as it was served. */
  readonly kvBytesPerToken: number
}

export function boundOf(work: ProfiledWork, model: BoundModel, limits: MachineLimits): StepBound {
  const { numDecodes, numPrefillTokens, numSamples, attendedKeys, keysRead } = work
  const numTokens = numDecodes + numPrefillTokens
  const flops =
    2 * (model.layerParameters * numTokens + model.headParameters * numSamples) +
    4 * model.attentionWidth * attendedKeys
  const bytes =
    model.layerBytes + (numSamples > 0 ? model.headBytes : 0) + model.kvBytesPerToken * (keysRead + numTokens)
  return {
    flops,
    bytes,
    computeMicros: (flops / limits.flopsPerSecond) * 1e6,
    memoryMicros: (bytes / limits.bytesPerSecond) * 1e6,
  }
}

/** Sequences that decode together from which on computing takes longer than reading, at no context. */
export function computeCrossing(model: BoundModel, limits: MachineLimits): number {
  const parameters = model.layerParameters + model.headParameters
  const bytes = model.layerBytes + model.headBytes
  return (bytes / limits.bytesPerSecond / (2 * parameters)) * limits.flopsPerSecond
}
