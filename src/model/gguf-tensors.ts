/** Parses the table of tensors of a GGUF file: every shape, type and offset is checked against the file. */
import type { GgufCursor } from './gguf-cursor.ts'
import { rowBytes, tensorTypes, type GgufTensor, type TensorType } from './gguf-types.ts'

const MAX_DIMENSIONS = 4
/** ggml stores names in 64 bytes, with a zero at the end. */
const MAX_NAME_BYTES = 63
/** A name of one byte with its length, the number of dimensions, a type, an offset. */
const MIN_ENTRY_BYTES = 25

interface Entry {
  readonly name: string
  readonly type: TensorType
  readonly shape: readonly number[]
  readonly numBytes: number
  /** From the start of the data. */
  readonly dataOffset: number
  /** Where the entry itself lies in the file. */
  readonly entryAt: number
}

/** The cursor stands behind the metadata. */
export function parseTensors(
  cursor: GgufCursor,
  numTensors: number,
  alignment: number,
): ReadonlyMap<string, GgufTensor> {
  if (numTensors > cursor.remaining / MIN_ENTRY_BYTES) {
    cursor.fail('tensor count', 8, `${numTensors} tensors do not fit the file`)
  }
  const entries = new Map<string, Entry>()
  for (let index = 0; index < numTensors; index++) {
    const entry = parseEntry(cursor, index)
    if (entries.has(entry.name))
      cursor.fail(`tensor ${index} name`, entry.entryAt, `${entry.name} is there twice`)
    entries.set(entry.name, entry)
  }
  const dataStart = Math.ceil(cursor.position / alignment) * alignment
  const fileSize = cursor.position + cursor.remaining
  checkPlaces([...entries.values()], { cursor, alignment, dataStart, fileSize })
  return new Map(
    [...entries].map(([name, { type, shape, numBytes, dataOffset }]) => [
      name,
      { name, type: type.id, shape, offset: dataStart + dataOffset, numBytes },
    ]),
  )
}

function parseEntry(cursor: GgufCursor, index: number): Entry {
  const entryAt = cursor.position
  const name = cursor.string(`tensor ${index} name`, MAX_NAME_BYTES)
  if (name === '') cursor.fail(`tensor ${index} name`, entryAt, 'it is empty')
  const shape = parseShape(cursor, name)
  const type = parseTensorType(cursor, name, shape)
  const numBytes = rowBytes(type, shape[0] ?? 1) * shape.slice(1).reduce((product, ne) => product * ne, 1)
  const dataOffset = cursor.uint64(`${name} offset`)
  return { name, type, shape, numBytes, dataOffset, entryAt }
}

function parseShape(cursor: GgufCursor, name: string): number[] {
  const numDimensions = cursor.uint32(`${name} dimension count`)
  if (numDimensions > MAX_DIMENSIONS) {
    cursor.fail(
      `${name} dimension count`,
      cursor.position - 4,
      `${numDimensions} is more than ${MAX_DIMENSIONS}`,
    )
  }
  const shape: number[] = []
  let numElements = 1
  for (let dimension = 0; dimension < numDimensions; dimension++) {
    const field = `${name} dimension ${dimension}`
    const size = cursor.uint64(field)
    if (size === 0) cursor.fail(field, cursor.position - 8, 'it is 0')
    numElements *= size
    // Eight bytes is the widest element: its product stays an exact number too.
    if (numElements > Number.MAX_SAFE_INTEGER / 8) {
      cursor.fail(field, cursor.position - 8, `${size} makes the number of elements overflow`)
    }
    shape.push(size)
  }
  return shape
}

function parseTensorType(cursor: GgufCursor, name: string, shape: readonly number[]): TensorType {
  const id = cursor.uint32(`${name} type`)
  const at = cursor.position - 4
  const type = tensorTypes.get(id) ?? cursor.fail(`${name} type`, at, `${id} is no tensor type`)
  const rowLength = shape[0] ?? 1
  if (rowLength % type.blockSize !== 0) {
    cursor.fail(
      `${name} type`,
      at,
      `${type.name} needs rows of a multiple of ${type.blockSize}, not ${rowLength}`,
    )
  }
  return type
}

interface Layout {
  readonly cursor: GgufCursor
  readonly alignment: number
  readonly dataStart: number
  readonly fileSize: number
}

/** Aligned, inside the file, and no two in one place. */
function checkPlaces(entries: readonly Entry[], { cursor, alignment, dataStart, fileSize }: Layout): void {
  let before: Entry | undefined
  for (const entry of entries.toSorted((a, b) => a.dataOffset - b.dataOffset)) {
    const { name, numBytes, dataOffset, entryAt } = entry
    if (dataOffset % alignment !== 0) {
      cursor.fail(`${name} offset`, entryAt, `${dataOffset} is no multiple of the alignment ${alignment}`)
    }
    const end = dataStart + dataOffset + numBytes
    if (end > fileSize) {
      cursor.fail(`${name} data`, dataStart + dataOffset, `it ends at byte ${end}, the file at ${fileSize}`)
    }
    if (before !== undefined && before.dataOffset + before.numBytes > dataOffset) {
      cursor.fail(`${name} offset`, entryAt, `its data overlap those of ${before.name}`)
    }
    before = entry
  }
}
