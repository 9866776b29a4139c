/**
 * Reads a GGUF file front to back through a window. Every length is compared with what is left of the file before
 * anything is read or skipped, so that a lying file costs an error and never memory.
 */
import { ServingError } from '../core/errors.ts'
import { oneLine, type ByteSource } from './gguf-source.ts'
import { scalarBytes, type GgufNumberType } from './gguf-types.ts'

const WINDOW_BYTES = 256 * 1024

const decoder = new TextDecoder()

export class GgufCursor {
  readonly #source: ByteSource
  #position: number
  #window: Uint8Array = new Uint8Array(0)
  #view = new DataView(this.#window.buffer)
  #windowStart = 0

  constructor(source: ByteSource, position = 0) {
    this.#source = source
    this.#position = position
  }

  get position(): number {
    return this.#position
  }

  get remaining(): number {
    return this.#source.size - this.#position
  }

  number(type: GgufNumberType, field: string): number | bigint {
    const numBytes = scalarBytes[type]
    const at = this.#require(numBytes, field)
    const value = readNumber(this.#view, at, type)
    this.#position += numBytes
    return value
  }

  uint32(field: string): number {
    const value = this.#view.getUint32(this.#require(4, field), true)
    this.#position += 4
    return value
  }

  /** A count, length or offset: refused when it is no exact number. */
  uint64(field: string): number {
    const value = this.number('u64', field)
    if (typeof value === 'number') return value
    return this.fail(field, this.#position - 8, `${value} is out of range`)
  }

  byte(field: string): number {
    const value = this.#view.getUint8(this.#require(1, field))
    this.#position += 1
    return value
  }

  /** A length, then that many bytes of UTF-8; damaged characters become U+FFFD. */
  string(field: string, maxBytes: number): string {
    const at = this.#position
    const length = this.uint64(`${field} length`)
    if (length > maxBytes) this.fail(`${field} length`, at, `${length} is more than the allowed ${maxBytes}`)
    return decoder.decode(this.bytes(length, field))
  }

  bytes(length: number, field: string): Uint8Array {
    if (length > WINDOW_BYTES) {
      this.#checkRemaining(length, field)
      const bytes = this.#source.read(this.#position, length)
      this.#position += length
      return bytes
    }
    const at = this.#require(length, field)
    this.#position += length
    return this.#window.subarray(at, at + length)
  }

  skip(length: number, field: string): void {
    this.#checkRemaining(length, field)
    this.#position += length
  }

  /** Passes over strings, checking each one's length. */
  skipStrings(count: number, field: string): void {
    for (let index = 0; index < count; index++) {
      const at = this.#require(8, field)
      const length = this.#view.getUint32(at + 4, true) * 4_294_967_296 + this.#view.getUint32(at, true)
      if (length > this.remaining - 8) {
        this.fail(`${field}[${index}] length`, this.#position, this.#beyond(length, this.remaining - 8))
      }
      this.#position += 8 + length
    }
  }

  /** @throws {ServingError} INVALID_MODEL, always; one line that names the field and where it lies. */
  fail(field: string, offset: number, reason: string): never {
    const where = `${oneLine(field)} at byte ${offset}`
    throw new ServingError(
      'INVALID_MODEL',
      `${oneLine(this.#source.name)}: bad GGUF: ${where}: ${oneLine(reason)}`,
    )
  }

  /** Makes the window cover the next bytes and returns where in it they begin. */
  #require(numBytes: number, field: string): number {
    const at = this.#position - this.#windowStart
    if (at >= 0 && at + numBytes <= this.#window.length) return at
    this.#checkRemaining(numBytes, field)
    this.#window = this.#source.read(this.#position, Math.min(WINDOW_BYTES, this.remaining))
    this.#view = new DataView(this.#window.buffer, this.#window.byteOffset, this.#window.length)
    this.#windowStart = this.#position
    return 0
  }

  #checkRemaining(numBytes: number, field: string): void {
    if (numBytes > this.remaining) this.fail(field, this.#position, this.#beyond(numBytes, this.remaining))
  }

  #beyond(wanted: number, remaining: number): string {
    return `${wanted} bytes wanted, the file has ${remaining} left`
  }
}

/** Little-endian. A 64-bit integer that is no exact number stays a bigint. */
export function readNumber(view: DataView, at: number, type: GgufNumberType): number | bigint {
  switch (type) {
    case 'u8':
      return view.getUint8(at)
    case 'i8':
      return view.getInt8(at)
    case 'u16':
      return view.getUint16(at, true)
    case 'i16':
      return view.getInt16(at, true)
    case 'u32':
      return view.getUint32(at, true)
    case 'i32':
      return view.getInt32(at, true)
    case 'f32':
      return view.getFloat32(at, true)
    case 'f64':
      return view.getFloat64(at, true)
    case 'u64':
      return toNumber(view.getBigUint64(at, true))
    case 'i64':
      return toNumber(view.getBigInt64(at, true))
    default:
      return type satisfies never
  }
}

function toNumber(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
