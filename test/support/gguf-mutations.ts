/** Ways to damage a GGUF file. Some know nothing of the format, some lie in the fields that matter. */
import type { RandomStream } from '../../src/core/random.ts'

/** May change `bytes` in place. `headBytes`: where metadata and tensor table end. */
export type Mutation = (bytes: Uint8Array, headBytes: number, random: RandomStream) => Uint8Array

/** Values that overflow, wrap, or sit at an edge of some width. */
const nastyValues: readonly bigint[] = [
  0n,
  1n,
  2n,
  31n,
  33n,
  255n,
  65_535n,
  65_536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 60n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
]

export const mutations: Readonly<Record<string, Mutation>> = {
  flipBits(bytes, headBytes, random) {
    const numFlips = 1 + random.below(4)
    for (let flip = 0; flip < numFlips; flip++) {
      const at = random.below(headBytes)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
    }
    return bytes
  },

  overwriteBytes(bytes, headBytes, random) {
    const at = random.below(headBytes)
    const end = Math.min(bytes.length, at + 1 + random.below(16))
    for (let index = at; index < end; index++) bytes[index] = random.below(256)
    return bytes
  },

  truncate: (bytes, _, random) => bytes.slice(0, random.below(bytes.length)),

  truncateInHead: (bytes, headBytes, random) => bytes.slice(0, random.below(headBytes)),

  lieInCounts: (bytes, _, random) => writeValue(bytes, 8 + 8 * random.below(2), 8, random),

  lieInAnyField: (bytes, headBytes, random) =>
    writeValue(bytes, random.below(headBytes), widthOf(random), random),

  /** A length stands before every text. */
  lieInLengths(bytes, headBytes, random) {
    const text = texts[random.below(texts.length)] ?? ''
    const at = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(headBytes, bytes.length)).indexOf(text)
    return at < 8 ? bytes : writeValue(bytes, at - 8, 8, random)
  },

  /** Types, counts and values stand behind a key; dimensions, types and offsets behind a tensor's name. */
  lieBehindNames(bytes, headBytes, random) {
    const text = texts[random.below(texts.length)] ?? ''
    const at = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(headBytes, bytes.length)).indexOf(text)
    const offset = at + text.length + 4 * random.below(10)
    return at < 0 ? bytes : writeValue(bytes, offset, widthOf(random), random)
  },

  duplicateStretch(bytes, headBytes, random) {
    const from = random.below(headBytes)
    const stretch = bytes.slice(from, from + 1 + random.below(64))
    const at = random.below(headBytes)
    return Buffer.concat([bytes.subarray(0, at), stretch, bytes.subarray(at)])
  },

  removeStretch(bytes, headBytes, random) {
    const at = random.below(headBytes)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(64))])
  },
}

const texts = [
  'general.architecture',
  'general.alignment',
  'llama.block_count',
  'llama.embedding_length',
  'llama.attention.head_count',
  'llama.attention.layer_norm_rms_epsilon',
  'tokenizer.ggml.tokens',
  'tokenizer.ggml.scores',
  'tokenizer.ggml.merges',
  'tokenizer.chat_template',
  'a b',
  'token_embd.weight',
  'blk.0.attn_k.weight',
  'blk.1.ffn_down.weight',
  'weight',
]

const widthOf = (random: RandomStream): number => (random.below(2) === 0 ? 4 : 8)

function writeValue(bytes: Uint8Array, at: number, width: number, random: RandomStream): Uint8Array {
  let value = nastyValues[random.below(nastyValues.length)] ?? 0n
  // As often, a value that is only a little wrong: near what the field may hold.
  if (random.below(2) === 0) value = BigInt(random.below(bytes.length + 64))
  for (let index = at; index < Math.min(bytes.length, at + width); index++) {
    bytes[index] = Number(value & 255n)
    value >>= 8n
  }
  return bytes
}
