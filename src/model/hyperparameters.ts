/**
 * The numbers that shape a model, from a GGUF's metadata. Keys and defaults are llama.cpp's (`llama-model.cpp`,
 * `load_hparams`): the same file means the same model here and there.
 */
import type { GgufFile } from './gguf-reader.ts'
import { readRope, type RopeHyperparameters } from './rope-hyperparameters.ts'

const MAX_LAYERS = 512
/** ggml's positions are 32-bit integers. */
const MAX_CONTEXT = 2 ** 31 - 1

export interface Hyperparameters {
  readonly architecture: string
  readonly numLayers: number
  /** Width of the residual stream. */
  readonly embeddingLength: number
  readonly numHeads: number
  /** Divides `numHeads`. */
  readonly numKvHeads: number
  readonly headDim: number
  /** Equal to `headDim` in every architecture supported so far. */
  readonly valueHeadDim: number
  readonly feedForwardLength: number
  readonly rmsEpsilon: number
  /** Tokens the model was trained for. */
  readonly contextLength: number
  readonly vocabSize: number
  /** What q·k is multiplied by before the softmax. */
  readonly attentionScale: number
  readonly rope: RopeHyperparameters
}

/** @throws {ServingError} INVALID_MODEL for what is missing, of the wrong type, or not supported. */
export function readHyperparameters(gguf: GgufFile): Hyperparameters {
  const architecture = gguf.getString('general.architecture')
  const key = (name: string) => `${architecture}.${name}`
  refuseUnsupported(gguf, key)

  const numLayers = positive(gguf, key('block_count'))
  if (numLayers > MAX_LAYERS)
    gguf.refuse(`${key('block_count')} is ${numLayers}; at most ${MAX_LAYERS} layers`)
  const embeddingLength = positive(gguf, key('embedding_length'))
  const contextLength = positive(gguf, key('context_length'))
  if (contextLength > MAX_CONTEXT)
    gguf.refuse(`${key('context_length')} is ${contextLength}; at most ${MAX_CONTEXT}`)
  const heads = readHeads(gguf, key, numLayers, embeddingLength)
  return {
    architecture,
    numLayers,
    embeddingLength,
    ...heads,
    feedForwardLength: perLayer(gguf, key('feed_forward_length'), numLayers),
    rmsEpsilon: readEpsilon(gguf, key('attention.layer_norm_rms_epsilon')),
    contextLength,
    vocabSize: readVocabSize(gguf, key('vocab_size')),
    attentionScale: 1 / Math.sqrt(heads.headDim),
    rope: readRope(gguf, { key, contextLength, headDim: heads.headDim }),
  }
}

type KeyOf = (name: string) => string

/** What would change the computation in ways that no supported architecture has. */
function refuseUnsupported(gguf: GgufFile, key: KeyOf): void {
  const numExperts = gguf.findUint(key('expert_count')) ?? 0
  if (numExperts > 0) {
    gguf.refuse(
      `a mixture of ${numExperts} experts (${key('expert_count')}); only dense models are supported`,
    )
  }
  if ((gguf.findUint(key('nextn_predict_layers')) ?? 0) > 0) {
    gguf.refuse(`${key('nextn_predict_layers')}: layers that predict further tokens are not supported`)
  }
  if (gguf.findBool(key('attention.causal')) === false) {
    gguf.refuse(`${key('attention.causal')} is false: this model embeds text and does not generate it`)
  }
  const numFiles = gguf.findUint('split.count') ?? 1
  if (numFiles > 1) gguf.refuse(`one of ${numFiles} parts (split.count); merge them into one file`)
}

type Heads = Pick<Hyperparameters, 'numHeads' | 'numKvHeads' | 'headDim' | 'valueHeadDim'>

function readHeads(gguf: GgufFile, key: KeyOf, numLayers: number, embeddingLength: number): Heads {
  const countKey = key('attention.head_count')
  const kvCountKey = key('attention.head_count_kv')
  const numHeads = perLayer(gguf, countKey, numLayers)
  const numKvHeads = gguf.metadata.has(kvCountKey) ? perLayer(gguf, kvCountKey, numLayers) : numHeads
  if (numHeads % numKvHeads !== 0) {
    gguf.refuse(`${countKey} (${numHeads}) is no multiple of ${kvCountKey} (${numKvHeads})`)
  }
  const defaultDim = Math.floor(embeddingLength / numHeads)
  const headDim = optionalPositive(gguf, key('attention.key_length')) ?? defaultDim
  const valueHeadDim = optionalPositive(gguf, key('attention.value_length')) ?? defaultDim
  if (headDim === 0 || headDim % 2 !== 0) {
    gguf.refuse(`${key('attention.key_length')}: heads of ${headDim} elements cannot be rotated`)
  }
  if (headDim !== valueHeadDim) {
    gguf.refuse(
      `${key('attention.value_length')} (${valueHeadDim}) differs from the length of keys (${headDim}); not supported`,
    )
  }
  return { numHeads, numKvHeads, headDim, valueHeadDim }
}

/** A number for all layers: given once, or per layer and the same everywhere. */
function perLayer(gguf: GgufFile, key: string, numLayers: number): number {
  if (gguf.metadata.get(key)?.kind !== 'array') return positive(gguf, key)
  const { count } = gguf.getArray(key)
  if (count !== numLayers) gguf.refuse(`${key} has ${count} elements for ${numLayers} layers`)
  const values = gguf.getNumbers(key)
  const [first = 0] = values
  const different = values.findIndex((value) => value !== first)
  if (different >= 0) {
    gguf.refuse(
      `${key} differs between layers (${first}, in layer ${different} ${values[different]}); not supported`,
    )
  }
  if (!Number.isSafeInteger(first) || first <= 0) gguf.refuse(`${key} must be positive, is ${first}`)
  return first
}

/** llama.cpp counts the tokenizer's tokens; the key only matters to files without a tokenizer. */
function readVocabSize(gguf: GgufFile, key: string): number {
  const count = gguf.findArray('tokenizer.ggml.tokens')?.count ?? positive(gguf, key)
  if (count === 0) gguf.refuse('tokenizer.ggml.tokens is empty')
  return count
}

function readEpsilon(gguf: GgufFile, key: string): number {
  const epsilon = gguf.getFloat(key)
  // ggml asserts epsilon >= 0, and an assertion that fails ends the process.
  if (!(epsilon >= 0 && epsilon < 1)) gguf.refuse(`${key} must lie in [0, 1), is ${epsilon}`)
  return epsilon
}

function positive(gguf: GgufFile, key: string): number {
  const value = gguf.getUint(key)
  return value > 0 ? value : gguf.refuse(`${key} must be positive`)
}

function optionalPositive(gguf: GgufFile, key: string): number | undefined {
  return gguf.metadata.has(key) ? positive(gguf, key) : undefined
}
