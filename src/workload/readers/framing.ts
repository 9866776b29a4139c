/** Cuts text that arrives in chunks into records, one at a time, whatever the size of the whole. */

export interface FramedRecord {
  readonly line: number
  /** Undefined for a record that was longer than the limit and has been skipped. */
  readonly text: string | undefined
}

export interface Framer {
  push(chunk: string): Iterable<FramedRecord>
  /** What is left when the text has ended. */
  end(): Iterable<FramedRecord>
}

/** Longest record, in UTF-16 code units: a file without line ends must not fill the memory. */
const maxRecordLength = 64 * 1024 * 1024

export function createFramer(framing: 'lines' | 'objects', limit: number = maxRecordLength): Framer {
  return framing === 'lines' ? new LineFramer(limit) : new ObjectFramer(limit)
}

class LineFramer implements Framer {
  readonly #limit: number
  #rest = ''
  #line = 1
  #isSkipping = false

  constructor(limit: number) {
    this.#limit = limit
  }

  *push(chunk: string): Iterable<FramedRecord> {
    let start = 0
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', start)) {
      yield this.#take(this.#rest + chunk.slice(start, end))
      start = end + 1
    }
    this.#rest += chunk.slice(start)
    if (this.#rest.length <= this.#limit) return
    this.#isSkipping = true
    this.#rest = ''
  }

  *end(): Iterable<FramedRecord> {
    if (this.#rest !== '' || this.#isSkipping) yield this.#take(this.#rest)
  }

  #take(text: string): FramedRecord {
    const isTooLong = this.#isSkipping || text.length > this.#limit
    this.#isSkipping = false
    this.#rest = ''
    const record = isTooLong ? undefined : text.endsWith('\r') ? text.slice(0, -1) : text
    return { line: this.#line++, text: record }
  }
}

const quote = 0x22
const backslash = 0x5c
const open = 0x7b
const close = 0x7d
const newline = 0x0a

/** Objects of the outermost level, inside one array or not; what stands between them is not looked at. */
class ObjectFramer implements Framer {
  readonly #limit: number
  #record = ''
  #depth = 0
  #line = 1
  #startLine = 1
  #isInString = false
  #isEscaped = false
  #isSkipping = false

  constructor(limit: number) {
    this.#limit = limit
  }

  *push(chunk: string): Iterable<FramedRecord> {
    let start = 0
    for (let index = 0; index < chunk.length; index += 1) {
      const change = this.#step(chunk.charCodeAt(index))
      if (change === 'opened') start = index
      if (change === 'closed') yield this.#take(this.#record + chunk.slice(start, index + 1))
    }
    if (this.#depth === 0) return
    if (!this.#isSkipping) this.#record += chunk.slice(start)
    if (this.#record.length <= this.#limit) return
    this.#isSkipping = true
    this.#record = ''
  }

  *end(): Iterable<FramedRecord> {
    if (this.#depth > 0) yield this.#take(this.#record)
  }

  #step(code: number): 'opened' | 'closed' | undefined {
    if (code === newline) this.#line += 1
    if (this.#isInString) this.#stepString(code)
    else if (code === quote) this.#isInString = this.#depth > 0
    else if (code === open && this.#depth++ === 0) {
      this.#startLine = this.#line
      return 'opened'
    } else if (code === close && this.#depth > 0 && --this.#depth === 0) return 'closed'
    return undefined
  }

  #stepString(code: number): void {
    if (this.#isEscaped) this.#isEscaped = false
    else if (code === backslash) this.#isEscaped = true
    else if (code === quote) this.#isInString = false
  }

  #take(text: string): FramedRecord {
    const isTooLong = this.#isSkipping || text.length > this.#limit
    this.#record = ''
    this.#isSkipping = false
    this.#depth = 0
    return { line: this.#startLine, text: isTooLong ? undefined : text }
  }
}
