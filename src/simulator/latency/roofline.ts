import type { Device } from './devices.ts'
import type { LatencyModel, StepShape } from './latency-model.ts'

/** What of a model costs time; from its file or from its hyperparameters. */
export interface ModelCosts {
  readonly name: string
  /** Weights that every token is multiplied by, and the bytes that they are read as. */
  readonly layerParameters: number
  readonly layerBytes: number
  /** The same of the output head, which only rows that sample pass. */
  readonly headParameters: number
  readonly headBytes: number
  /** Layers x query heads x elements of a head. */
  readonly attentionWidth: number
  readonly kvBytesPerToken: number
  readonly contextLength: number
}

/** How much of a device's peak a step reaches, and what it costs whatever it does. Assumptions, not measurements. */
export interface Efficiency {
  readonly compute: number
  readonly bandwidth: number
  readonly stepMicros: number
}

/** Compute as large products reach it, bandwidth as long reads do; launching and the host's part of a step. */
export const usualEfficiency: Efficiency = { compute: 0.5, bandwidth: 0.8, stepMicros: 1500 }

/** Rows of one sequence that read its keys and values together (a tile of blocked attention). */
const attentionTile = 64

/**
 * A step takes as long as the slower of computing and of moving bytes, for the matrix products and for attention each
 * (S. Williams, A. Waterman, D. Patterson: Roofline, 2009). Attention is apart because its keys grow with context
 * while the weights do not: what makes long contexts slow is there.
 */
export function roofline(model: ModelCosts, device: Device, efficiency = usualEfficiency): LatencyModel {
  const flops = device.flops * efficiency.compute
  const bandwidth = device.bandwidth * efficiency.bandwidth
  const seconds = (numFlops: number, numBytes: number): number =>
    Math.max(numFlops / flops, numBytes / bandwidth)
  return {
    name: 'roofline',
    answerMicros: 0,
    requestMicros: () => 0,
    stepMicros({ numTokens, numSamples, decodeKeys, prefillKeys }: StepShape): number {
      const products = seconds(
        2 * (model.layerParameters * numTokens + model.headParameters * numSamples),
        model.layerBytes + (numSamples > 0 ? model.headBytes : 0),
      )
      const keysRead = decodeKeys + prefillKeys / attentionTile + numTokens
      const attention = seconds(
        4 * model.attentionWidth * (decodeKeys + prefillKeys),
        model.kvBytesPerToken * keysRead,
      )
      return efficiency.stepMicros + 1e6 * (products + attention)
    },
  }
}

/** Of a dense transformer with gated feed-forward layers, as Llama and its kin are. */
export interface ModelNumbers {
  readonly numLayers: number
  readonly width: number
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
  readonly feedForward: number
  readonly vocabSize: number
  readonly contextLength: number
  /** Bytes a weight, and an element of the cache. */
  readonly weightBytes: number
  readonly kvBytes: number
}

export function costsOf(name: string, numbers: ModelNumbers): ModelCosts {
  const { numLayers, width, numHeads, numKvHeads, headDim, feedForward, vocabSize } = numbers
  const attention = width * headDim * (2 * numHeads + 2 * numKvHeads)
  const layerParameters = numLayers * (attention + 3 * width * feedForward)
  const headParameters = width * vocabSize
  return {
    name,
    layerParameters,
    layerBytes: layerParameters * numbers.weightBytes,
    headParameters,
    headBytes: headParameters * numbers.weightBytes,
    attentionWidth: numLayers * numHeads * headDim,
    kvBytesPerToken: 2 * numLayers * numKvHeads * headDim * numbers.kvBytes,
    contextLength: numbers.contextLength,
  }
}

/** Tokens whose KV fits beside the weights, with a tenth of the memory left for everything else. */
export function kvTokensOf(model: ModelCosts, device: Device): number {
  const free = 0.9 * device.memoryBytes - model.layerBytes - 2 * model.headBytes
  return Math.max(0, Math.floor(free / model.kvBytesPerToken))
}
