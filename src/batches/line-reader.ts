/** A file read line by line, in order or by place, never as a whole. */
import { open, type FileHandle } from 'node:fs/promises'

export interface LinePlace {
  readonly offset: number
  readonly length: number
}

export interface PlacedLine extends LinePlace {
  /** Undefined: longer than `longest`. */
  readonly text: string | undefined
}

const lineFeed = 10
const pieceBytes = 1 << 18

/** Lines that are not blank. One longer than `longest` bytes has a place but no text. */
export async function* readLines(path: string, longest: number): AsyncGenerator<PlacedLine> {
  const handle = await open(path, 'r')
  try {
    let rest: Buffer[] = []
    let restBytes = 0
    let offset = 0
    for await (const piece of handle.createReadStream({ highWaterMark: pieceBytes, autoClose: false })) {
      let from = 0
      for (let end = piece.indexOf(lineFeed); end !== -1; end = piece.indexOf(lineFeed, from)) {
        const length = restBytes + end - from
        const whole = length > longest ? undefined : textOf([...rest, piece.subarray(from, end)])
        if (whole !== '') yield { offset, length, text: whole }
        offset += length + 1
        rest = []
        restBytes = 0
        from = end + 1
      }
      restBytes += piece.length - from
      if (restBytes <= longest) rest.push(piece.subarray(from))
      else rest = []
    }
    const last = restBytes > longest ? undefined : textOf(rest)
    if (restBytes > 0 && last !== '') yield { offset, length: restBytes, text: last }
  } finally {
    await handle.close()
  }
}

/** Reads single lines of a file whose places are known. */
export class LineFile {
  readonly #handle: FileHandle

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  static async open(path: string): Promise<LineFile> {
    return new LineFile(await open(path, 'r'))
  }

  async read({ offset, length }: LinePlace): Promise<string> {
    const buffer = Buffer.alloc(length)
    await this.#handle.read(buffer, 0, length, offset)
    return textOf([buffer])
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

/** Blank lines, carriage returns and a byte order mark count as nothing. */
const textOf = (pieces: readonly Buffer[]): string =>
  Buffer.concat(pieces)
    .toString('utf8')
    .replace(/^\u{feff}/u, '')
    .trim()
