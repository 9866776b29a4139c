/**
 * Writes GGUF files, version 3: the head from descriptions, then the tensors' data as they are produced, so that a
 * model of any size needs only one piece of it in memory. The format is described in ggml's `gguf.h`.
 */
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'

import { invariant } from '../src/core/errors.ts'
import {
  rowBytes,
  tensorTypes,
  valueTypes,
  type GgufNumberType,
  type GgufScalarType,
} from '../src/model/gguf-types.ts'

const DEFAULT_ALIGNMENT = 32

export type MetadataEntry =
  | { readonly key: string; readonly type: GgufNumberType; readonly value: number | bigint }
  | { readonly key: string; readonly type: 'bool'; readonly value: boolean }
  | { readonly key: string; readonly type: 'string'; readonly value: string }
  /** Elements as the format has them: see `encodeStrings`, `encodeNumbers`. */
  | {
      readonly key: string
      readonly type: 'array'
      readonly elementType: GgufScalarType
      readonly count: number
      readonly bytes: Uint8Array
    }

export interface TensorEntry {
  readonly name: string
  /** ggml's number of the type. */
  readonly type: number
  readonly shape: readonly number[]
}

export interface GgufContent {
  readonly metadata: readonly MetadataEntry[]
  readonly tensors: readonly TensorEntry[]
  /** Power of two; also to be written as `general.alignment` when it is not 32. */
  readonly alignment?: number
}

/** `produce` yields a tensor's bytes in pieces. The file appears under its name only when it is complete. */
export function writeGguf<Tensor extends TensorEntry>(
  path: string,
  content: GgufContent & { readonly tensors: readonly Tensor[] },
  produce: (tensor: Tensor) => Iterable<Uint8Array>,
): void {
  const alignment = content.alignment ?? DEFAULT_ALIGNMENT
  const temporary = `${path}.part`
  const file = openSync(temporary, 'w')
  try {
    writeFully(file, encodeHeader(content))
    for (const tensor of content.tensors) {
      let written = 0
      for (const piece of produce(tensor)) {
        writeFully(file, piece)
        written += piece.length
      }
      invariant(written === tensorBytes(tensor), `${tensor.name}: ${written} bytes of ${tensorBytes(tensor)}`)
      writeFully(file, new Uint8Array(padding(written, alignment)))
    }
    renameSync(temporary, path)
  } finally {
    closeSync(file)
    rmSync(temporary, { force: true })
  }
}

/** Everything before the data, padded to where the data begin. */
export function encodeHeader(content: GgufContent): Uint8Array {
  const { metadata, tensors, alignment = DEFAULT_ALIGNMENT } = content
  const parts: Uint8Array[] = [
    Buffer.from('GGUF'),
    number('u32', 3),
    number('u64', tensors.length),
    number('u64', metadata.length),
  ]
  for (const entry of metadata) parts.push(...encodeEntry(entry))
  let offset = 0
  for (const tensor of tensors) {
    const { name, type, shape } = tensor
    parts.push(text(name), number('u32', shape.length), ...shape.map((size) => number('u64', size)))
    parts.push(number('u32', type), number('u64', offset))
    const size = tensorBytes(tensor)
    offset += size + padding(size, alignment)
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([...parts, new Uint8Array(tensors.length > 0 ? padding(length, alignment) : 0)])
}

export function tensorBytes({ type, shape }: TensorEntry): number {
  const known = tensorTypes.get(type)
  invariant(known !== undefined, `no tensor type ${type}`)
  return rowBytes(known, shape[0] ?? 1) * shape.slice(1).reduce((product, size) => product * size, 1)
}

export const encodeStrings = (strings: readonly string[]): Uint8Array => Buffer.concat(strings.map(text))

export const encodeNumbers = (type: GgufNumberType, values: readonly number[]): Uint8Array =>
  Buffer.concat(values.map((value) => number(type, value)))

function encodeEntry(entry: MetadataEntry): Uint8Array[] {
  const head = [text(entry.key), number('u32', valueTypes.indexOf(entry.type))]
  switch (entry.type) {
    case 'array':
      return [
        ...head,
        number('u32', valueTypes.indexOf(entry.elementType)),
        number('u64', entry.count),
        entry.bytes,
      ]
    case 'string':
      return [...head, text(entry.value)]
    case 'bool':
      return [...head, number('u8', entry.value ? 1 : 0)]
    default:
      return [...head, number(entry.type, entry.value)]
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([number('u64', bytes.length), bytes])
}

const encoders: Readonly<
  Record<GgufNumberType, readonly [size: number, write: (b: Buffer, v: number) => void]>
> = {
  u8: [1, (buffer, value) => buffer.writeUInt8(value)],
  i8: [1, (buffer, value) => buffer.writeInt8(value)],
  u16: [2, (buffer, value) => buffer.writeUInt16LE(value)],
  i16: [2, (buffer, value) => buffer.writeInt16LE(value)],
  u32: [4, (buffer, value) => buffer.writeUInt32LE(value)],
  i32: [4, (buffer, value) => buffer.writeInt32LE(value)],
  f32: [4, (buffer, value) => buffer.writeFloatLE(value)],
  f64: [8, (buffer, value) => buffer.writeDoubleLE(value)],
  u64: [8, (buffer, value) => buffer.writeBigUInt64LE(BigInt(value))],
  i64: [8, (buffer, value) => buffer.writeBigInt64LE(BigInt(value))],
}

function number(type: GgufNumberType, value: number | bigint): Buffer {
  const [size, write] = encoders[type]
  const buffer = Buffer.alloc(size)
  write(buffer, value as number)
  return buffer
}

const padding = (size: number, alignment: number): number => (alignment - (size % alignment)) % alignment

function writeFully(file: number, bytes: Uint8Array): void {
  let done = 0
  while (done < bytes.length) done += writeSync(file, bytes, done)
}
