/** What a character means for a JSON value: `past` is the first one behind it (numbers end so). */
export type ScanStatus = 'more' | 'done' | 'past' | 'bad'

type State =
  | 'value'
  | 'value-or-end'
  | 'key'
  | 'key-or-end'
  | 'colon'
  | 'comma-or-end'
  | 'string'
  | 'escape'
  | 'hex'
  | 'number'
  | 'literal'

const number = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/
const literals: Readonly<Record<string, string>> = { t: 'true', f: 'false', n: 'null' }

export const isSpace = (char: string): boolean =>
  char === ' ' || char === '\n' || char === '\t' || char === '\r'

/** Checks one JSON value (RFC 8259) character by character, in constant time for each, to find its end. */
export class JsonScanner {
  #state: State = 'value'
  /** Brackets that are open. */
  readonly #open: ('{' | '[')[] = []
  #isKey = false
  #word = ''
  #numHex = 0

  /** After `done`, `past` or `bad` nothing more may be pushed. */
  push(char: string): ScanStatus {
    switch (this.#state) {
      case 'string':
        return this.#inString(char)
      case 'escape':
        return this.#inEscape(char)
      case 'hex':
        if (!/[0-9a-fA-F]/.test(char)) return 'bad'
        if (++this.#numHex === 4) this.#state = 'string'
        return 'more'
      case 'number':
        return this.#inNumber(char)
      case 'literal':
        return this.#inLiteral(char)
      default:
        return isSpace(char) ? 'more' : this.#between(char)
    }
  }

  #between(char: string): ScanStatus {
    if (this.#state === 'colon') return this.#expect(char, ':', 'value')
    if (this.#state === 'comma-or-end') return this.#commaOrEnd(char)
    if (this.#state === 'key-or-end' && char === '}') return this.#close()
    if (this.#state === 'value-or-end' && char === ']') return this.#close()
    this.#isKey = this.#state === 'key' || this.#state === 'key-or-end'
    return this.#isKey ? this.#expect(char, '"', 'string') : this.#beginValue(char)
  }

  #expect(char: string, expected: string, next: State): ScanStatus {
    if (char !== expected) return 'bad'
    this.#state = next
    return 'more'
  }

  #commaOrEnd(char: string): ScanStatus {
    const bracket = this.#open.at(-1)
    if (char === ',') return this.#expect(char, ',', bracket === '{' ? 'key' : 'value')
    return char === (bracket === '{' ? '}' : ']') ? this.#close() : 'bad'
  }

  #beginValue(char: string): ScanStatus {
    if (char === '{' || char === '[') {
      this.#open.push(char)
      this.#state = char === '{' ? 'key-or-end' : 'value-or-end'
    } else if (char === '"') this.#state = 'string'
    else {
      this.#word = char
      this.#state = char in literals ? 'literal' : 'number'
      if (this.#state === 'number' && !/[-0-9]/.test(char)) return 'bad'
    }
    return 'more'
  }

  #inString(char: string): ScanStatus {
    if (char === '\\') this.#state = 'escape'
    else if (char < ' ') return 'bad'
    else if (char === '"') {
      if (!this.#isKey) return this.#ended()
      this.#isKey = false
      this.#state = 'colon'
    }
    return 'more'
  }

  #inEscape(char: string): ScanStatus {
    if (!'"\\/bfnrtu'.includes(char)) return 'bad'
    this.#numHex = 0
    this.#state = char === 'u' ? 'hex' : 'string'
    return 'more'
  }

  #inNumber(char: string): ScanStatus {
    if (/[-+.0-9eE]/.test(char)) {
      this.#word += char
      return 'more'
    }
    if (!number.test(this.#word)) return 'bad'
    return this.#ended() === 'done' ? 'past' : this.push(char)
  }

  #inLiteral(char: string): ScanStatus {
    const expected = literals[this.#word.charAt(0)] ?? ''
    this.#word += char
    if (!expected.startsWith(this.#word)) return 'bad'
    return this.#word === expected ? this.#ended() : 'more'
  }

  #close(): ScanStatus {
    this.#open.pop()
    return this.#ended()
  }

  #ended(): ScanStatus {
    this.#state = 'comma-or-end'
    return this.#open.length === 0 ? 'done' : 'more'
  }
}
