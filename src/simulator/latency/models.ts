import type { ModelNumbers } from './roofline.ts'

/** Well-known models by the numbers in their published `config.json`, with weights and cache of 16 bits. */
export const models = {
  'llama-3.2-1b': dense({ layers: 16, width: 2048, heads: [32, 8, 64], feedForward: 8192, vocab: 128_256 }),
  'llama-3.1-8b': dense({
    layers: 32,
    width: 4096,
    heads: [32, 8, 128],
    feedForward: 14_336,
    vocab: 128_256,
  }),
  'llama-3.1-70b': dense({
    layers: 80,
    width: 8192,
    heads: [64, 8, 128],
    feedForward: 28_672,
    vocab: 128_256,
  }),
  'qwen2.5-0.5b': dense({
    layers: 24,
    width: 896,
    heads: [14, 2, 64],
    feedForward: 4864,
    vocab: 151_936,
    context: 32_768,
  }),
  'qwen2.5-7b': dense({
    layers: 28,
    width: 3584,
    heads: [28, 4, 128],
    feedForward: 18_944,
    vocab: 152_064,
    context: 32_768,
  }),
  'qwen2.5-32b': dense({
    layers: 64,
    width: 5120,
    heads: [40, 8, 128],
    feedForward: 27_648,
    vocab: 152_064,
    context: 32_768,
  }),
} as const satisfies Record<string, ModelNumbers>

export type ModelName = keyof typeof models

export const modelNames = Object.keys(models) as [ModelName, ...ModelName[]]

interface Sizes {
  readonly layers: number
  readonly width: number
  /** Query heads, key-value heads, elements of each. */
  readonly heads: readonly [number, number, number]
  readonly feedForward: number
  readonly vocab: number
  readonly context?: number
}

function dense({ layers, width, heads, feedForward, vocab, context = 131_072 }: Sizes): ModelNumbers {
  const [numHeads, numKvHeads, headDim] = heads
  const counts = { numLayers: layers, width, numHeads, numKvHeads, headDim, feedForward }
  return { ...counts, vocabSize: vocab, contextLength: context, weightBytes: 2, kvBytes: 2 }
}
