/** The metadata of a generated model, without its tokenizer. */
import type { TensorType } from '../src/model/gguf-types.ts'
import type { Hyperparameters } from '../src/model/hyperparameters.ts'
import type { MetadataEntry } from './gguf-writer.ts'

/** llama.cpp's numbers for "mostly of this type" (`llama_ftype` in `llama.h`). */
const fileTypes: Readonly<Record<string, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q8_0: 7,
  Q5_0: 8,
  Q4_K: 14,
  Q6_K: 18,
  BF16: 32,
}

export function modelMetadata(h: Hyperparameters, type: TensorType): MetadataEntry[] {
  const text = (key: string, value: string): MetadataEntry => ({ key, type: 'string', value })
  const u32 = (key: string, value: number): MetadataEntry => ({ key, type: 'u32', value })
  const name = (suffix: string) => `${h.architecture}.${suffix}`
  return [
    text('general.architecture', h.architecture),
    text('general.type', 'model'),
    text('general.name', `Random ${h.architecture} ${type.name}`),
    u32('general.file_type', fileTypes[type.name] ?? 0),
    u32('general.quantization_version', 2),
    u32(name('block_count'), h.numLayers),
    u32(name('context_length'), h.contextLength),
    u32(name('embedding_length'), h.embeddingLength),
    u32(name('feed_forward_length'), h.feedForwardLength),
    u32(name('attention.head_count'), h.numHeads),
    u32(name('attention.head_count_kv'), h.numKvHeads),
    u32(name('attention.key_length'), h.headDim),
    u32(name('attention.value_length'), h.valueHeadDim),
    { key: name('attention.layer_norm_rms_epsilon'), type: 'f32', value: h.rmsEpsilon },
    u32(name('vocab_size'), h.vocabSize),
    ...ropeMetadata(h, name),
  ]
}

function ropeMetadata({ rope }: Hyperparameters, name: (suffix: string) => string): MetadataEntry[] {
  const entries: MetadataEntry[] = [
    { key: name('rope.dimension_count'), type: 'u32', value: rope.dimensionCount },
    { key: name('rope.freq_base'), type: 'f32', value: rope.freqBase },
  ]
  // Llama 3's scaling is a tensor and has no keys.
  if (rope.scaling !== 'linear' && rope.scaling !== 'yarn') return entries
  return [
    ...entries,
    { key: name('rope.scaling.type'), type: 'string', value: rope.scaling },
    { key: name('rope.scaling.factor'), type: 'f32', value: rope.factor },
    { key: name('rope.scaling.original_context_length'), type: 'u32', value: rope.originalContextLength },
  ]
}
