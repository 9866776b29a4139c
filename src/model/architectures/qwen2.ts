import {
  attentionBiases,
  embeddingAndOutput,
  optional,
  required,
  transformerLayer,
  type Architecture,
} from './architecture.ts'

/** Qwen2 and Qwen2.5: Llama's shape with biases on q, k and v. */
export const qwen2: Architecture = {
  name: 'qwen2',
  ropeMode: 'neox',
  globalTensors: (h) => [...embeddingAndOutput(h), optional('output.bias', h.vocabSize)],
  layerTensors: (h, layer) => [...transformerLayer(h, layer), ...attentionBiases(h, layer, required)],
}
