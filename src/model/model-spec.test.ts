import { describe, expect, it } from 'vitest'

import { encodeFile, llamaMetadata, llamaTensors, memorySource } from '../../test/support/gguf-fixture.ts'
import type { MetadataEntry, TensorEntry } from '../../tools/gguf-writer.ts'
import { architectures } from './architectures/index.ts'
import { readGguf } from './gguf-reader.ts'
import { checkModel } from './model-spec.ts'

const check = (tensors: readonly TensorEntry[], metadata: readonly MetadataEntry[] = llamaMetadata()) =>
  checkModel(readGguf(memorySource(encodeFile({ metadata, tensors }))))

/** The same model with keys and architecture of another name. */
function renamed(architecture: string): MetadataEntry[] {
  return llamaMetadata({
    'general.architecture': { key: 'general.architecture', type: 'string', value: architecture },
  }).map((entry) => ({ ...entry, key: entry.key.replace(/^llama\./, `${architecture}.`) }))
}

const f32 = (name: string, ...shape: number[]) => ({ name, type: 0, shape })

describe('checkModel', () => {
  it('accepts a model with all it needs', () => {
    const spec = check(llamaTensors())
    expect(spec.architecture.name).toBe('llama')
    expect(spec.hyperparameters.numLayers).toBe(2)
    expect([...spec.tensors.keys()].toSorted()).toEqual(
      llamaTensors()
        .map(({ name }) => name)
        .toSorted(),
    )
    expect(spec.path).toBe('model.gguf')
  })

  it('accepts what an architecture may have', () => {
    const extra = [
      f32('output.weight', 16, 5),
      f32('rope_freqs.weight', 2),
      f32('blk.1.attn_q.bias', 16),
      f32('blk.0.ffn_down.bias', 16),
    ]
    expect(check([...llamaTensors(), ...extra]).tensors.size).toBe(24)
  })

  it.each<[string, (tensors: TensorEntry[]) => TensorEntry[], string]>([
    [
      'a missing tensor',
      (tensors) => tensors.filter(({ name }) => name !== 'blk.1.attn_k.weight'),
      'model.gguf: blk.1.attn_k.weight: missing, expected shape [16,8]',
    ],
    [
      'another shape',
      (tensors) => replace(tensors, f32('blk.1.attn_k.weight', 16, 16)),
      'model.gguf: blk.1.attn_k.weight: shape [16,16] expected [16,8]',
    ],
    [
      'another number of dimensions',
      (tensors) => replace(tensors, f32('blk.1.attn_k.weight', 16, 8, 1)),
      'model.gguf: blk.1.attn_k.weight: shape [16,8,1] expected [16,8]',
    ],
    [
      'an embedding of fewer rows than the tokenizer has tokens',
      (tensors) => replace(tensors, f32('token_embd.weight', 16, 4)),
      'model.gguf: token_embd.weight: shape [16,4] expected [16,5]',
    ],
    [
      'a norm that is no F32',
      (tensors) => replace(tensors, { name: 'blk.0.ffn_norm.weight', type: 1, shape: [16] }),
      'model.gguf: blk.0.ffn_norm.weight: type F16 expected F32',
    ],
    [
      'a matrix of integers',
      (tensors) => replace(tensors, { name: 'blk.0.ffn_up.weight', type: 26, shape: [16, 24] }),
      'model.gguf: blk.0.ffn_up.weight: type I32 cannot hold weights',
    ],
    [
      'a tensor we would not know how to use',
      (tensors) => [...tensors, f32('blk.0.attn_sinks.weight', 4)],
      'model.gguf: blk.0.attn_sinks.weight: no tensor of the architecture llama',
    ],
  ])('refuses %s', (_, change, message) => {
    expect(() => check(change(llamaTensors()))).toThrow(new RegExp(`^${escape(message)}$`))
  })

  it('says how much more is wrong', () => {
    expect(() => check(llamaTensors().slice(2))).toThrow(
      /^model.gguf: token_embd.weight: missing.*\(and 1 more\)$/,
    )
  })

  it('names the architectures there are when a file has another', () => {
    expect(() => check([], renamed('mamba'))).toThrow(
      'model.gguf: the architecture "mamba" is not supported; supported are llama, qwen2, qwen3',
    )
  })

  it('needs biases on q, k and v in a qwen2', () => {
    expect(() => check(llamaTensors(), renamed('qwen2'))).toThrow(
      'blk.0.attn_q.bias: missing, expected shape [16]',
    )
    const biases = [0, 1].flatMap((layer) => [
      f32(`blk.${layer}.attn_q.bias`, 16),
      f32(`blk.${layer}.attn_k.bias`, 8),
      f32(`blk.${layer}.attn_v.bias`, 8),
    ])
    expect(check([...llamaTensors(), ...biases], renamed('qwen2')).architecture.ropeMode).toBe('neox')
  })

  it('needs norms on q and k in a qwen3', () => {
    expect(() => check(llamaTensors(), renamed('qwen3'))).toThrow('blk.0.attn_q_norm.weight: missing')
    const norms = [0, 1].flatMap((layer) => [
      f32(`blk.${layer}.attn_q_norm.weight`, 4),
      f32(`blk.${layer}.attn_k_norm.weight`, 4),
    ])
    expect(check([...llamaTensors(), ...norms], renamed('qwen3')).architecture.ropeMode).toBe('neox')
  })
})

describe('the registry', () => {
  it('has each architecture under its own name', () => {
    for (const [name, architecture] of architectures) expect(architecture.name).toBe(name)
    expect(architectures.get('llama')?.ropeMode).toBe('normal')
  })

  it('declares no tensor twice', () => {
    const { hyperparameters } = check(llamaTensors())
    for (const architecture of architectures.values()) {
      const names = [
        ...architecture.globalTensors(hyperparameters),
        ...architecture.layerTensors(hyperparameters, 0),
        ...architecture.layerTensors(hyperparameters, 1),
      ].map(({ name }) => name)
      expect(new Set(names).size).toBe(names.length)
    }
  })
})

function replace(tensors: readonly TensorEntry[], tensor: TensorEntry): TensorEntry[] {
  return tensors.map((old) => (old.name === tensor.name ? tensor : old))
}

const escape = (text: string) => text.replaceAll(/[.[\]]/g, '\\$&')
