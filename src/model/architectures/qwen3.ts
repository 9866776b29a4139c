import {
  attentionBiases,
  embeddingAndOutput,
  optional,
  required,
  transformerLayer,
  type Architecture,
} from './architecture.ts'

/** Qwen3, dense: q and k are normalised per head before they are rotated. */
export const qwen3: Architecture = {
  name: 'qwen3',
  ropeMode: 'neox',
  globalTensors: embeddingAndOutput,
  layerTensors: (h, layer) => [
    ...transformerLayer(h, layer),
    ...attentionBiases(h, layer, optional),
    required(`blk.${layer}.attn_q_norm.weight`, h.headDim),
    required(`blk.${layer}.attn_k_norm.weight`, h.headDim),
  ],
}
