import {
  attentionBiases,
  embeddingAndOutput,
  optional,
  transformerLayer,
  type Architecture,
} from './architecture.ts'

/** Llama 1 to 3, and the many models that took over its shape. */
export const llama: Architecture = {
  name: 'llama',
  ropeMode: 'normal',
  globalTensors: (h) => [
    ...embeddingAndOutput(h),
    // Llama 3.1's scaling: what each frequency is divided by.
    optional('rope_freqs.weight', h.rope.dimensionCount / 2),
  ],
  layerTensors: (h, layer) => [
    ...transformerLayer(h, layer),
    ...attentionBiases(h, layer, optional),
    optional(`blk.${layer}.attn_output.bias`, h.embeddingLength),
    optional(`blk.${layer}.ffn_gate.bias`, h.feedForwardLength),
    optional(`blk.${layer}.ffn_up.bias`, h.feedForwardLength),
    optional(`blk.${layer}.ffn_down.bias`, h.embeddingLength),
  ],
}
