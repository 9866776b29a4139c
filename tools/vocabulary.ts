/** The tokenizer of one GGUF file, to be written into another. */
import { ServingError } from '../src/core/errors.ts'
import type { GgufFile } from '../src/model/gguf-reader.ts'
import { encodeNumbers, encodeStrings, type MetadataEntry } from './gguf-writer.ts'

/** ggml's number for tokens that never appear in text. */
const UNUSED_TOKEN = 5
/** Lower than any real score of a SentencePiece vocabulary. */
const UNUSED_SCORE = -10_000

export interface Vocabulary {
  readonly numTokens: number
  /** All keys under `tokenizer.`, arrays byte for byte. */
  readonly metadata: readonly MetadataEntry[]
}

/**
 * `padTo`: unused tokens are appended until there are that many.
 * @throws {ServingError} INVALID_CONFIG when there are more already.
 */
export function copyVocabulary(gguf: GgufFile, padTo?: number): Vocabulary {
  const { count } = gguf.getArray('tokenizer.ggml.tokens')
  const numTokens = padTo ?? count
  if (numTokens < count) {
    throw new ServingError(
      'INVALID_CONFIG',
      `${gguf.path} has ${count} tokens already, more than ${numTokens}`,
    )
  }
  const metadata = [...gguf.metadata.keys()]
    .filter((key) => key.startsWith('tokenizer.'))
    .map((key) => pad(copyEntry(gguf, key), count, numTokens))
  return { numTokens, metadata }
}

function copyEntry(gguf: GgufFile, key: string): MetadataEntry {
  const value = gguf.metadata.get(key)
  if (value?.kind === 'array') {
    const { elementType, count } = value
    return { key, type: 'array', elementType, count, bytes: gguf.readArrayBytes(value) }
  }
  return { key, type: value?.type, value: value?.value } as MetadataEntry
}

function pad(entry: MetadataEntry, count: number, numTokens: number): MetadataEntry {
  const padding = Array.from({ length: numTokens - count }, (_, index) => count + index)
  const bytes = encodePadding(entry.key, padding)
  if (entry.type !== 'array' || bytes === undefined) return entry
  return { ...entry, count: numTokens, bytes: Buffer.concat([entry.bytes, bytes]) }
}

/** For the arrays that have one element per token. */
function encodePadding(key: string, tokenIds: readonly number[]): Uint8Array | undefined {
  switch (key) {
    case 'tokenizer.ggml.tokens':
      return encodeStrings(tokenIds.map((tokenId) => `[PAD${tokenId}]`))
    case 'tokenizer.ggml.token_type':
      return encodeNumbers(
        'i32',
        tokenIds.map(() => UNUSED_TOKEN),
      )
    case 'tokenizer.ggml.scores':
      return encodeNumbers(
        'f32',
        tokenIds.map(() => UNUSED_SCORE),
      )
    default:
      return undefined
  }
}
