/**
 * Parses the head of a GGUF file, version 2 or 3, little-endian: metadata and the table of tensors. The format is
 * described in ggml's `gguf.h`. Nothing the file says is believed before it is compared with the file's size.
 */
import { GgufCursor } from './gguf-cursor.ts'
import type { ByteSource } from './gguf-source.ts'
import { parseTensors } from './gguf-tensors.ts'
import {
  scalarBytes,
  valueTypes,
  type GgufScalarType,
  type GgufTensor,
  type GgufValue,
} from './gguf-types.ts'

const MAGIC = 'GGUF'
const MAX_KEY_BYTES = 65_535
const MAX_STRING_BYTES = 64 * 1024 * 1024
/** A hundred times the largest vocabularies: what a hostile file may make us walk over. */
const MAX_STRINGS = 16_777_216
const DEFAULT_ALIGNMENT = 32
/** A key of one byte with its length, a type, a value of one byte. */
const MIN_PAIR_BYTES = 14

export interface GgufHeader {
  readonly version: number
  readonly alignment: number
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly tensors: ReadonlyMap<string, GgufTensor>
}

/** @throws {ServingError} INVALID_MODEL. */
export function parseHeader(source: ByteSource): GgufHeader {
  const cursor = new GgufCursor(source)
  const version = parseVersion(cursor)
  const numTensors = cursor.uint64('tensor count')
  const numPairs = cursor.uint64('metadata count')
  if (numPairs > cursor.remaining / MIN_PAIR_BYTES) {
    cursor.fail('metadata count', cursor.position - 8, `${numPairs} entries do not fit the file`)
  }
  const metadata = new Map<string, GgufValue>()
  let alignment = DEFAULT_ALIGNMENT
  for (let index = 0; index < numPairs; index++) {
    const start = cursor.position
    const key = parseKey(cursor, index)
    if (metadata.has(key)) cursor.fail(`metadata key ${index}`, start, `"${key}" is there twice`)
    const valueAt = cursor.position
    const value = parseValue(cursor, key)
    if (key === 'general.alignment') alignment = parseAlignment(cursor, value, valueAt)
    metadata.set(key, value)
  }
  return { version, alignment, metadata, tensors: parseTensors(cursor, numTensors, alignment) }
}

function parseVersion(cursor: GgufCursor): number {
  const magic = Buffer.from(cursor.bytes(4, 'magic')).toString('latin1')
  if (magic !== MAGIC) cursor.fail('magic', 0, `"${magic}" is not "${MAGIC}"`)
  const version = cursor.uint32('version')
  if (version !== 0 && (version & 0xffff) === 0) {
    cursor.fail('version', 4, 'a big-endian file; only little-endian files are supported')
  }
  if (version !== 2 && version !== 3) cursor.fail('version', 4, `${version} is not supported; 2 and 3 are`)
  return version
}

function parseKey(cursor: GgufCursor, index: number): string {
  const start = cursor.position
  const key = cursor.string(`metadata key ${index}`, MAX_KEY_BYTES)
  if (key === '') cursor.fail(`metadata key ${index}`, start, 'it is empty')
  return key
}

function parseValue(cursor: GgufCursor, key: string): GgufValue {
  const type = parseType(cursor, `${key} type`)
  if (type === 'array') return parseArray(cursor, key)
  switch (type) {
    case 'string':
      return { kind: 'scalar', type, value: cursor.string(key, MAX_STRING_BYTES) }
    case 'bool':
      return { kind: 'scalar', type, value: cursor.byte(key) !== 0 }
    default:
      return { kind: 'scalar', type, value: cursor.number(type, key) }
  }
}

function parseType(cursor: GgufCursor, field: string): GgufScalarType | 'array' {
  const number = cursor.uint32(field)
  return valueTypes[number] ?? cursor.fail(field, cursor.position - 4, `${number} is no metadata type`)
}

/** Notes where the elements are and passes over them. */
function parseArray(cursor: GgufCursor, key: string): GgufValue {
  const elementType = parseType(cursor, `${key} element type`)
  if (elementType === 'array') {
    return cursor.fail(`${key} element type`, cursor.position - 4, 'arrays of arrays are not supported')
  }
  const count = cursor.uint64(`${key} count`)
  const offset = cursor.position
  const minBytes = elementType === 'string' ? 8 : scalarBytes[elementType]
  if (count > cursor.remaining / minBytes) {
    cursor.fail(`${key} count`, offset - 8, `${count} elements do not fit the file`)
  }
  if (elementType === 'string') {
    if (count > MAX_STRINGS) cursor.fail(`${key} count`, offset - 8, `more than ${MAX_STRINGS} strings`)
    cursor.skipStrings(count, key)
  } else {
    cursor.skip(count * minBytes, key)
  }
  return { kind: 'array', elementType, count, offset, numBytes: cursor.position - offset }
}

function parseAlignment(cursor: GgufCursor, value: GgufValue, offset: number): number {
  const alignment = value.kind === 'scalar' && value.type === 'u32' ? Number(value.value) : 0
  if (alignment === 0 || 2 ** Math.round(Math.log2(alignment)) !== alignment) {
    cursor.fail('general.alignment', offset, 'it must be a power of two of type u32')
  }
  return alignment
}
