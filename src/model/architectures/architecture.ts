/**
 * What one architecture needs of a model file. An architecture is one file here and one line in `index.ts`; how its
 * graph is computed is in `../graph/`.
 */
import type { Hyperparameters } from '../hyperparameters.ts'

export interface TensorDeclaration {
  readonly name: string
  /** In ggml's order: a matrix is [inputs, outputs]. One dimension: a norm or a bias, which is F32. */
  readonly shape: readonly number[]
  readonly isOptional: boolean
}

export interface Architecture {
  /** The value of `general.architecture`. */
  readonly name: string
  /** Which elements of a head rotate together: neighbours (`normal`), or one of each half (`neox`). */
  readonly ropeMode: 'normal' | 'neox'
  globalTensors(hyperparameters: Hyperparameters): TensorDeclaration[]
  layerTensors(hyperparameters: Hyperparameters, layer: number): TensorDeclaration[]
}

export const required = (name: string, ...shape: number[]): TensorDeclaration => ({
  name,
  shape,
  isOptional: false,
})

export const optional = (name: string, ...shape: number[]): TensorDeclaration => ({
  name,
  shape,
  isOptional: true,
})

/** Without `output.weight` the embedding table is the output matrix too. */
export function embeddingAndOutput(h: Hyperparameters): TensorDeclaration[] {
  return [
    required('token_embd.weight', h.embeddingLength, h.vocabSize),
    required('output_norm.weight', h.embeddingLength),
    optional('output.weight', h.embeddingLength, h.vocabSize),
  ]
}

/** Norms, attention and a gated feed-forward network: what the supported architectures share. */
export function transformerLayer(h: Hyperparameters, layer: number): TensorDeclaration[] {
  const width = h.embeddingLength
  const at = `blk.${layer}`
  return [
    required(`${at}.attn_norm.weight`, width),
    required(`${at}.attn_q.weight`, width, h.numHeads * h.headDim),
    required(`${at}.attn_k.weight`, width, h.numKvHeads * h.headDim),
    required(`${at}.attn_v.weight`, width, h.numKvHeads * h.valueHeadDim),
    required(`${at}.attn_output.weight`, h.numHeads * h.valueHeadDim, width),
    required(`${at}.ffn_norm.weight`, width),
    required(`${at}.ffn_gate.weight`, width, h.feedForwardLength),
    required(`${at}.ffn_up.weight`, width, h.feedForwardLength),
    required(`${at}.ffn_down.weight`, h.feedForwardLength, width),
  ]
}

/** Biases of the three projections into attention. */
export function attentionBiases(
  h: Hyperparameters,
  layer: number,
  declare: (name: string, ...shape: number[]) => TensorDeclaration,
): TensorDeclaration[] {
  return [
    declare(`blk.${layer}.attn_q.bias`, h.numHeads * h.headDim),
    declare(`blk.${layer}.attn_k.bias`, h.numKvHeads * h.headDim),
    declare(`blk.${layer}.attn_v.bias`, h.numKvHeads * h.valueHeadDim),
  ]
}
