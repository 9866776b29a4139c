/** Bytes of a model file, read in ranges. The GGUF reader allocates bytes here and nowhere else. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'

import { invariant, reasonOf, ServingError } from '../core/errors.ts'

export interface ByteSource {
  /** What errors call it. */
  readonly name: string
  readonly size: number
  /** A fresh array with exactly these bytes, which lie inside `size`. */
  read(offset: number, length: number): Uint8Array
  close(): void
}

/** @throws {ServingError} INVALID_MODEL when there is no such regular file. */
export function openFileSource(path: string): ByteSource {
  const file = openRegularFile(path)
  const size = fstatSync(file).size
  let isOpen = true
  return {
    name: path,
    size,
    read(offset, length) {
      invariant(isOpen, `${path} is read after it was closed`)
      invariant(offset >= 0 && length >= 0 && offset + length <= size, `a read outside ${path}`)
      return readRange(file, path, offset, length)
    },
    close() {
      if (isOpen) closeSync(file)
      isOpen = false
    },
  }
}

/** Asks what it is before opening: a pipe would block. */
function openRegularFile(path: string): number {
  try {
    if (statSync(path).isFile()) return openSync(path, 'r')
  } catch (cause) {
    const message = `${oneLine(path)}: cannot be opened (${reasonOf(cause)})`
    throw new ServingError('INVALID_MODEL', message, { cause })
  }
  throw new ServingError('INVALID_MODEL', `${oneLine(path)}: not a regular file`)
}

function readRange(file: number, path: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let done = 0
  while (done < length) {
    const count = readSync(file, bytes, done, length - done, offset + done)
    if (count === 0) {
      throw new ServingError(
        'INVALID_MODEL',
        `${oneLine(path)}: became shorter than ${offset + length} bytes`,
      )
    }
    done += count
  }
  return bytes
}

/** Text from outside, fit for a line of a log: no control characters, no more than `limit` characters. */
export function oneLine(text: string, limit = 200): string {
  const visible = text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
  return visible.length > limit ? `${visible.slice(0, limit)}...` : visible
}
