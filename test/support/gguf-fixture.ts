/** Small GGUF files in memory, and damage for them. */
import { invariant } from '../../src/core/errors.ts'
import type { ByteSource } from '../../src/model/gguf-source.ts'
import {
  encodeHeader,
  encodeNumbers,
  encodeStrings,
  tensorBytes,
  type GgufContent,
  type MetadataEntry,
} from '../../tools/gguf-writer.ts'

/** A source over bytes in memory that counts what was read of it. */
export interface CountingSource extends ByteSource {
  readonly largestRead: () => number
  readonly bytesRead: () => number
  readonly isClosed: () => boolean
}

export function memorySource(bytes: Uint8Array, name = 'model.gguf'): CountingSource {
  let largest = 0
  let total = 0
  let isClosed = false
  return {
    name,
    size: bytes.length,
    read(offset, length) {
      invariant(!isClosed && offset >= 0 && length >= 0 && offset + length <= bytes.length, 'a read outside')
      largest = Math.max(largest, length)
      total += length
      return bytes.slice(offset, offset + length)
    },
    close() {
      isClosed = true
    },
    largestRead: () => largest,
    bytesRead: () => total,
    isClosed: () => isClosed,
  }
}

/** A whole file; the tensors' data are zeros. */
export function encodeFile(content: GgufContent): Uint8Array {
  const alignment = content.alignment ?? 32
  const dataBytes = content.tensors
    .map((tensor) => Math.ceil(tensorBytes(tensor) / alignment) * alignment)
    .reduce((sum, size) => sum + size, 0)
  return Buffer.concat([encodeHeader(content), new Uint8Array(dataBytes)])
}

export const stringArray = (key: string, values: readonly string[]): MetadataEntry => ({
  key,
  type: 'array',
  elementType: 'string',
  count: values.length,
  bytes: encodeStrings(values),
})

export const numberArray = (
  key: string,
  elementType: 'u32' | 'i32' | 'f32' | 'u64',
  values: readonly number[],
): MetadataEntry => ({
  key,
  type: 'array',
  elementType,
  count: values.length,
  bytes: encodeNumbers(elementType, values),
})

/** One layer of a tiny Llama, as metadata; `changes` replace entries by key, null removes one. */
export function llamaMetadata(changes: Readonly<Record<string, MetadataEntry | null>> = {}): MetadataEntry[] {
  const entries: MetadataEntry[] = [
    { key: 'general.architecture', type: 'string', value: 'llama' },
    { key: 'llama.block_count', type: 'u32', value: 2 },
    { key: 'llama.context_length', type: 'u32', value: 128 },
    { key: 'llama.embedding_length', type: 'u32', value: 16 },
    { key: 'llama.feed_forward_length', type: 'u32', value: 24 },
    { key: 'llama.attention.head_count', type: 'u32', value: 4 },
    { key: 'llama.attention.head_count_kv', type: 'u32', value: 2 },
    { key: 'llama.attention.layer_norm_rms_epsilon', type: 'f32', value: 1e-5 },
    stringArray('tokenizer.ggml.tokens', ['a', 'b', 'c', 'd', 'e']),
  ]
  const kept = entries.map((entry) => (entry.key in changes ? changes[entry.key] : entry))
  const added = Object.entries(changes)
    .filter(([key]) => entries.every((entry) => entry.key !== key))
    .map(([, entry]) => entry)
  return [...kept, ...added].filter((entry) => entry !== null && entry !== undefined)
}

/** The tensors that `llamaMetadata` calls for. */
export function llamaTensors(): { name: string; type: number; shape: number[] }[] {
  const f32 = (name: string, ...shape: number[]) => ({ name, type: 0, shape })
  const layers = [0, 1].flatMap((layer) => [
    f32(`blk.${layer}.attn_norm.weight`, 16),
    f32(`blk.${layer}.attn_q.weight`, 16, 16),
    f32(`blk.${layer}.attn_k.weight`, 16, 8),
    f32(`blk.${layer}.attn_v.weight`, 16, 8),
    f32(`blk.${layer}.attn_output.weight`, 16, 16),
    f32(`blk.${layer}.ffn_norm.weight`, 16),
    f32(`blk.${layer}.ffn_gate.weight`, 16, 24),
    f32(`blk.${layer}.ffn_up.weight`, 16, 24),
    f32(`blk.${layer}.ffn_down.weight`, 24, 16),
  ])
  return [f32('token_embd.weight', 16, 5), f32('output_norm.weight', 16), ...layers]
}
