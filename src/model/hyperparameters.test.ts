import { describe, expect, it } from 'vitest'

import { encodeFile, llamaMetadata, memorySource, numberArray } from '../../test/support/gguf-fixture.ts'
import type { MetadataEntry, TensorEntry } from '../../tools/gguf-writer.ts'
import { ServingError } from '../core/errors.ts'
import { readGguf } from './gguf-reader.ts'
import { readHyperparameters } from './hyperparameters.ts'

type Changes = Readonly<Record<string, MetadataEntry | null>>

function read(
  entries: readonly MetadataEntry[],
  removed: readonly string[] = [],
  tensors: TensorEntry[] = [],
) {
  const changes: Changes = Object.fromEntries([
    ...entries.map((entry) => [entry.key, entry]),
    ...removed.map((key) => [key, null]),
  ])
  return readHyperparameters(
    readGguf(memorySource(encodeFile({ metadata: llamaMetadata(changes), tensors }))),
  )
}

const u32 = (key: string, value: number): MetadataEntry => ({ key: `llama.${key}`, type: 'u32', value })
const f32 = (key: string, value: number): MetadataEntry => ({ key: `llama.${key}`, type: 'f32', value })
const text = (key: string, value: string): MetadataEntry => ({ key: `llama.${key}`, type: 'string', value })

describe('a plain model', () => {
  it('has the numbers of its metadata and llama.cpp’s defaults for the rest', () => {
    expect(read([])).toEqual({
      architecture: 'llama',
      numLayers: 2,
      embeddingLength: 16,
      numHeads: 4,
      numKvHeads: 2,
      headDim: 4,
      valueHeadDim: 4,
      feedForwardLength: 24,
      rmsEpsilon: Math.fround(1e-5),
      contextLength: 128,
      vocabSize: 5,
      attentionScale: 0.5,
      rope: {
        scaling: 'none',
        dimensionCount: 4,
        freqBase: 10_000,
        factor: 1,
        freqScale: 1,
        originalContextLength: 128,
        extFactor: 0,
        attnFactor: 1,
        betaFast: 32,
        betaSlow: 1,
      },
    })
  })

  it('has as many KV heads as heads unless the file says otherwise', () => {
    expect(read([], ['llama.attention.head_count_kv']).numKvHeads).toBe(4)
  })

  it('may have heads of another size than its width suggests', () => {
    const h = read([u32('attention.key_length', 32), u32('attention.value_length', 32)])
    expect(h).toMatchObject({ headDim: 32, valueHeadDim: 32, attentionScale: 1 / Math.sqrt(32) })
    expect(h.rope.dimensionCount).toBe(32)
  })

  it('counts the tokenizer’s tokens, whatever vocab_size says', () => {
    expect(read([u32('vocab_size', 999)]).vocabSize).toBe(5)
    expect(read([u32('vocab_size', 999)], ['tokenizer.ggml.tokens']).vocabSize).toBe(999)
  })

  it('may give a number per layer when all layers agree', () => {
    const h = read([
      numberArray('llama.attention.head_count', 'u32', [4, 4]),
      numberArray('llama.attention.head_count_kv', 'i32', [2, 2]),
      numberArray('llama.feed_forward_length', 'i32', [24, 24]),
    ])
    expect(h).toMatchObject({ numHeads: 4, numKvHeads: 2, feedForwardLength: 24 })
  })
})

describe('rope', () => {
  const scaled = (type: string, factor: number) => [
    text('rope.scaling.type', type),
    f32('rope.scaling.factor', factor),
    u32('rope.scaling.original_context_length', 32),
  ]

  it('scales positions linearly', () => {
    expect(read(scaled('linear', 4)).rope).toMatchObject({
      scaling: 'linear',
      factor: 4,
      freqScale: 0.25,
      extFactor: 0,
      attnFactor: 1,
      originalContextLength: 32,
    })
  })

  it('knows the older key for a linear factor', () => {
    expect(read([f32('rope.scale_linear', 2)]).rope).toMatchObject({ scaling: 'linear', freqScale: 0.5 })
  })

  it('ignores a factor when the type is none', () => {
    expect(read(scaled('none', 4)).rope).toMatchObject({ scaling: 'none', factor: 1, freqScale: 1 })
  })

  it('mixes angles as YaRN does, and leaves the magnitude to ggml', () => {
    const { rope } = read(scaled('yarn', 4))
    expect(rope).toMatchObject({ scaling: 'yarn', factor: 4, freqScale: 0.25, extFactor: 1 })
    expect(rope.attnFactor).toBeCloseTo(1, 6)
  })

  it('takes the factor on attention from the file', () => {
    const { rope } = read([...scaled('yarn', 4), f32('rope.scaling.attn_factor', 0.5)])
    expect(rope.attnFactor).toBeCloseTo(0.5, 6)
  })

  it('is Llama 3’s when there is a tensor of factors', () => {
    const { rope } = read([], [], [{ name: 'rope_freqs.weight', type: 0, shape: [2] }])
    expect(rope).toMatchObject({ scaling: 'llama3', freqScale: 1 })
  })

  it('uses the base of the file', () => {
    expect(read([f32('rope.freq_base', 500_000)]).rope.freqBase).toBe(500_000)
  })
})

describe('what is not supported or makes no sense is refused by name', () => {
  it.each<[string, MetadataEntry[], string]>([
    ['experts', [u32('expert_count', 8)], 'a mixture of 8 experts (llama.expert_count); only dense models'],
    [
      'predicting layers',
      [u32('nextn_predict_layers', 1)],
      'llama.nextn_predict_layers: layers that predict',
    ],
    [
      'embedders',
      [{ key: 'llama.attention.causal', type: 'bool', value: false }],
      'llama.attention.causal is false',
    ],
    ['split files', [{ key: 'split.count', type: 'u16', value: 3 }], 'one of 3 parts (split.count)'],
    ['no layers', [u32('block_count', 0)], 'llama.block_count must be positive'],
    ['too many layers', [u32('block_count', 513)], 'llama.block_count is 513; at most 512 layers'],
    ['a context of 2^31', [u32('context_length', 2 ** 31)], 'llama.context_length is 2147483648; at most'],
    [
      'uneven KV heads',
      [u32('attention.head_count_kv', 3)],
      'llama.attention.head_count (4) is no multiple of',
    ],
    ['odd heads', [u32('attention.key_length', 3)], 'heads of 3 elements cannot be rotated'],
    ['no width for heads', [u32('attention.head_count', 32)], 'heads of 0 elements cannot be rotated'],
    [
      'other values than keys',
      [u32('attention.value_length', 8)],
      'llama.attention.value_length (8) differs',
    ],
    ['partial rotation', [u32('rope.dimension_count', 2)], 'llama.rope.dimension_count is 2, heads have 4'],
    ['unknown scaling', [text('rope.scaling.type', 'longrope')], 'llama.rope.scaling.type "longrope" is not'],
    [
      'a negative factor',
      [f32('rope.scaling.factor', -1)],
      'llama.rope.scaling.factor must be positive, is -1',
    ],
    [
      'no factor',
      [f32('rope.scaling.factor', Number.NaN)],
      'llama.rope.scaling.factor must be positive, is NaN',
    ],
    ['a base of 0', [f32('rope.freq_base', 0)], 'llama.rope.freq_base must be positive, is 0'],
    [
      'a negative epsilon',
      [f32('attention.layer_norm_rms_epsilon', -1)],
      'epsilon must lie in [0, 1), is -1',
    ],
    [
      'layers that differ',
      [numberArray('llama.attention.head_count_kv', 'u32', [2, 1])],
      'differs between layers (2, in layer 1 1)',
    ],
    [
      'a layer too many',
      [numberArray('llama.feed_forward_length', 'u32', [24, 24, 24])],
      'has 3 elements for 2 layers',
    ],
    [
      'negative layers',
      [numberArray('llama.feed_forward_length', 'i32', [-1, -1])],
      'must be positive, is -1',
    ],
  ])('%s', (_, entries, message) => {
    expect(() => read(entries)).toThrow(ServingError)
    expect(() => read(entries)).toThrow(message)
  })

  it.each([
    'general.architecture',
    'llama.block_count',
    'llama.context_length',
    'llama.embedding_length',
    'llama.feed_forward_length',
    'llama.attention.head_count',
    'llama.attention.layer_norm_rms_epsilon',
  ])('a file without %s', (key) => {
    expect(() => read([], [key])).toThrow(`model.gguf: metadata ${key} is missing`)
  })
})
