import { closeSync, openSync, writeSync } from 'node:fs'
import { reasonOf, ServingError } from '../core/errors.ts'

const mostFiles = 1000

/** Writes some of the bytes to an open file, and says how many. */
export type Append = (file: number, bytes: Uint8Array) => number

/**
 * A file that was not there, written from its beginning on. An engine that takes another's place writes to `path.1`
 * beside the first one's, and so on. A full disk ends the file, with a line on standard error, and not the engine.
 */
export class NewFile {
  readonly #file: number
  readonly #name: string
  readonly #what: string
  readonly #append: Append
  #hasFailed = false

  /**
   * `what`: of what it is a file, for messages.
   * @throws {ServingError} INVALID_CONFIG when the file cannot be made.
   */
  constructor(path: string, what: string, append: Append = writeSync) {
    const { file, name } = openNew(path, what)
    this.#file = file
    this.#name = name
    this.#what = what
    this.#append = append
  }

  write(text: string): void {
    if (this.#hasFailed) return
    try {
      let rest: Uint8Array = Buffer.from(text)
      while (rest.length > 0) rest = rest.subarray(this.#append(this.#file, rest))
    } catch (error) {
      this.#hasFailed = true
      process.stderr.write(`The ${this.#what} in ${this.#name} ends: ${reasonOf(error)}\n`)
    }
  }

  close(): void {
    closeSync(this.#file)
  }
}

function openNew(path: string, what: string): { readonly file: number; readonly name: string } {
  for (let count = 0; count < mostFiles; count += 1) {
    const name = count === 0 ? path : `${path}.${count}`
    try {
      return { file: openSync(name, 'wx'), name }
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') continue
      const message = `${name}: no ${what} can be written (${reasonOf(cause)}).`
      throw new ServingError('INVALID_CONFIG', message, { cause })
    }
  }
  throw new ServingError('INVALID_CONFIG', `${path}: there are ${mostFiles} such files already.`)
}
