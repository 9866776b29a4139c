/**
 * A GGUF file: metadata by key and the table of tensors. Reads the head only; arrays are decoded when asked for, and
 * tensor data is for others to read or map. The parsing is in `gguf-header.ts` and `gguf-tensors.ts`.
 */
import { ServingError } from '../core/errors.ts'
import { GgufCursor, readNumber } from './gguf-cursor.ts'
import { parseHeader, type GgufHeader } from './gguf-header.ts'
import { oneLine, openFileSource, type ByteSource } from './gguf-source.ts'
import {
  scalarBytes,
  type GgufArray,
  type GgufScalar,
  type GgufTensor,
  type GgufValue,
} from './gguf-types.ts'

export type { GgufTensor, GgufValue } from './gguf-types.ts'

const decoder = new TextDecoder()

/** @throws {ServingError} INVALID_MODEL: one line that names the field at fault and its byte offset. */
export function openGguf(path: string): GgufFile {
  return readGguf(openFileSource(path))
}

/** The same over any source, which the result owns; on failure it is closed. */
export function readGguf(source: ByteSource): GgufFile {
  try {
    return new GgufFile(source, parseHeader(source))
  } catch (error) {
    source.close()
    throw error
  }
}

/** `find...` returns undefined when the key is absent, `get...` refuses; both refuse a value of another type. */
export class GgufFile {
  readonly path: string
  readonly numBytes: number
  readonly version: number
  readonly alignment: number
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly tensors: ReadonlyMap<string, GgufTensor>
  readonly #source: ByteSource

  constructor(source: ByteSource, header: GgufHeader) {
    this.#source = source
    this.path = source.name
    this.numBytes = source.size
    this.version = header.version
    this.alignment = header.alignment
    this.metadata = header.metadata
    this.tensors = header.tensors
  }

  close(): void {
    this.#source.close()
  }

  findString(key: string): string | undefined {
    const value = this.metadata.get(key)
    if (value === undefined) return undefined
    return value.kind === 'scalar' && typeof value.value === 'string'
      ? value.value
      : this.#wrongType(key, 'a string')
  }

  getString(key: string): string {
    return this.findString(key) ?? this.#missing(key)
  }

  /** An integer of any width that is not negative and an exact number. */
  findUint(key: string): number | undefined {
    const value = this.metadata.get(key)
    if (value === undefined) return undefined
    return isUint(value) ? Number(value.value) : this.#wrongType(key, 'an unsigned integer')
  }

  getUint(key: string): number {
    return this.findUint(key) ?? this.#missing(key)
  }

  findFloat(key: string): number | undefined {
    const value = this.metadata.get(key)
    if (value === undefined) return undefined
    const isFloat = value.kind === 'scalar' && (value.type === 'f32' || value.type === 'f64')
    return isFloat ? Number(value.value) : this.#wrongType(key, 'a float')
  }

  getFloat(key: string): number {
    return this.findFloat(key) ?? this.#missing(key)
  }

  findBool(key: string): boolean | undefined {
    const value = this.metadata.get(key)
    if (value === undefined) return undefined
    return value.kind === 'scalar' && typeof value.value === 'boolean'
      ? value.value
      : this.#wrongType(key, 'a bool')
  }

  getBool(key: string): boolean {
    return this.findBool(key) ?? this.#missing(key)
  }

  findArray(key: string): GgufArray | undefined {
    const value = this.metadata.get(key)
    if (value === undefined) return undefined
    return value.kind === 'array' ? value : this.#wrongType(key, 'an array')
  }

  getArray(key: string): GgufArray {
    return this.findArray(key) ?? this.#missing(key)
  }

  /** Decodes the whole array. */
  getStrings(key: string): string[] {
    const array = this.getArray(key)
    if (array.elementType !== 'string') return this.#wrongType(key, 'an array of strings')
    const cursor = new GgufCursor(this.#source, array.offset)
    return Array.from({ length: array.count }, () => {
      const length = cursor.uint64(key)
      return decoder.decode(cursor.bytes(length, key))
    })
  }

  /** Decodes the whole array. */
  getNumbers(key: string): number[] {
    const array = this.getArray(key)
    const { elementType, count } = array
    if (elementType === 'string' || elementType === 'bool') return this.#wrongType(key, 'an array of numbers')
    const bytes = this.readArrayBytes(array)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const width = scalarBytes[elementType]
    return Array.from({ length: count }, (_, index) => Number(readNumber(view, index * width, elementType)))
  }

  /** The elements as the file has them. */
  readArrayBytes(array: GgufArray): Uint8Array {
    return this.#source.read(array.offset, array.numBytes)
  }

  /** @throws {ServingError} INVALID_MODEL, always; the file's name, then the reason, on one line. */
  refuse(reason: string): never {
    throw new ServingError('INVALID_MODEL', `${oneLine(this.path)}: ${oneLine(reason, 400)}`)
  }

  #missing(key: string): never {
    return this.refuse(`metadata ${key} is missing`)
  }

  #wrongType(key: string, expected: string): never {
    return this.refuse(`metadata ${key} must be ${expected}, is ${describeValue(this.metadata.get(key))}`)
  }
}

function isUint(value: GgufValue): value is GgufScalar {
  if (value.kind !== 'scalar' || typeof value.value !== 'number') return false
  return value.type !== 'f32' && value.type !== 'f64' && value.value >= 0
}

function describeValue(value: GgufValue | undefined): string {
  if (value === undefined) return 'missing'
  if (value.kind === 'array') return `an array of ${value.elementType}`
  return value.type === 'string' ? 'a string' : `${value.type} ${value.value}`
}
