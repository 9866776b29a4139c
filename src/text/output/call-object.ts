import type { CallReader, CallSink, ReadStatus } from './call-reader.ts'
import { isSpace, JsonScanner } from './json-scanner.ts'

export interface CallObjectOptions {
  /** Undefined: any tool may be named, and fields that say nothing are passed over. Else the object is no call. */
  readonly knownNames: ReadonlySet<string> | undefined
}

type State = 'open' | 'key-or-end' | 'key' | 'colon' | 'value' | 'comma-or-end'

const idleFields = new Set(['id', 'type', 'tool_call_id'])

/**
 * A call as a JSON object: `{"name": ..., "arguments": {...}}`, fields in any order, arguments also as text or called
 * "parameters"; or such an object, or a list of them, within a field "function", "tool_call" or "tool_calls".
 * Arguments are told as they come once the name is known.
 */
export class CallObject implements CallReader {
  readonly #sink: CallSink
  readonly #options: CallObjectOptions
  #state: State = 'open'
  #scanner: JsonScanner | undefined
  #nested: CallReader | undefined
  #hasNested = false
  #key = ''
  /** The string or value that is being read. */
  #text = ''
  #name: string | undefined
  /** Known before the name. */
  #waiting: string | undefined
  #isStarted = false
  #isComplete = false
  #streams = false

  constructor(sink: CallSink, options: CallObjectOptions) {
    this.#sink = sink
    this.#options = options
  }

  push(char: string): ReadStatus {
    if (this.#nested !== undefined) return this.#inNested(this.#nested, char)
    if (this.#scanner !== undefined) return this.#inText(this.#scanner, char)
    if (isSpace(char)) return 'more'
    switch (this.#state) {
      case 'open':
        return this.#expect(char, '{', 'key-or-end')
      case 'key-or-end':
        return char === '}' ? this.#end() : this.#begin(char)
      case 'key':
        return this.#begin(char)
      case 'colon':
        return this.#expect(char, ':', 'value')
      case 'value':
        return this.#beginValue(char)
      case 'comma-or-end':
        return char === '}' ? this.#end() : this.#expect(char, ',', 'key')
    }
  }

  #expect(char: string, expected: string, next: State): ReadStatus {
    if (char !== expected) return 'bad'
    this.#state = next
    return 'more'
  }

  #begin(char: string): ReadStatus {
    if (this.#state !== 'value' && char !== '"') return 'bad'
    this.#scanner = new JsonScanner()
    this.#text = ''
    return this.#inText(this.#scanner, char)
  }

  #beginValue(char: string): ReadStatus {
    const isFirst = this.#name === undefined && !this.#hasNested
    if (isFirst && char === '{' && (this.#key === 'function' || this.#key === 'tool_call')) {
      this.#nested = new CallObject(this.#sink, this.#options)
    } else if (isFirst && char === '[' && this.#key === 'tool_calls') {
      this.#nested = new CallList(this.#sink, this.#options)
    } else {
      const isArguments = isArgumentsKey(this.#key) && !this.#isStarted && this.#waiting === undefined
      this.#streams = isArguments && char === '{' && this.#name !== undefined
      if (this.#streams) this.#start(this.#name ?? '')
      return this.#begin(char)
    }
    this.#hasNested = true
    return this.push(char)
  }

  #inNested(nested: CallReader, char: string): ReadStatus {
    const status = nested.push(char)
    if (status !== 'done') return status
    this.#nested = undefined
    this.#state = 'comma-or-end'
    return 'more'
  }

  #inText(scanner: JsonScanner, char: string): ReadStatus {
    const status = scanner.push(char)
    if (status === 'bad') return 'bad'
    if (status !== 'past') {
      if (this.#streams) this.#sink.arguments(char)
      else this.#text += char
      if (status === 'more') return 'more'
    }
    this.#scanner = undefined
    const isKnown = this.#state === 'value' ? this.#readValue() : this.#readKey()
    if (!isKnown) return 'bad'
    return status === 'past' ? this.push(char) : 'more'
  }

  #readKey(): boolean {
    this.#key = JSON.parse(this.#text) as string
    this.#state = 'colon'
    if (this.#options.knownNames === undefined || this.#key === 'name' || isArgumentsKey(this.#key))
      return true
    return idleFields.has(this.#key) || /^(function|tool_calls?)$/.test(this.#key)
  }

  #readValue(): boolean {
    this.#state = 'comma-or-end'
    if (this.#streams) {
      this.#streams = false
      this.#finish()
      return true
    }
    if (this.#hasNested || this.#isStarted) return true
    if (isArgumentsKey(this.#key)) return this.#readArguments()
    const isName = this.#key === 'name' || (this.#key === 'function' && this.#text.startsWith('"'))
    return !isName || this.#readName()
  }

  #readName(): boolean {
    const name: unknown = JSON.parse(this.#text)
    if (this.#name !== undefined || typeof name !== 'string' || name === '') return false
    if (this.#options.knownNames?.has(name) === false) return false
    this.#name = name
    if (this.#waiting !== undefined) this.#tell(name, this.#waiting)
    return true
  }

  /** That did not come as an object behind the name. */
  #readArguments(): boolean {
    if (this.#waiting !== undefined) return true
    const text = argumentsIn(this.#text)
    if (text === undefined) return false
    this.#waiting = text
    if (this.#name !== undefined) this.#tell(this.#name, text)
    return true
  }

  #tell(name: string, text: string): void {
    this.#start(name)
    this.#sink.arguments(text)
    this.#finish()
  }

  #start(name: string): void {
    this.#isStarted = true
    this.#sink.started(name)
  }

  #finish(): void {
    this.#isComplete = true
    this.#sink.complete()
  }

  #end(): ReadStatus {
    if (this.#hasNested) return 'done'
    if (!this.#isComplete) {
      if (this.#name === undefined || this.#options.knownNames !== undefined) return 'bad'
      this.#tell(this.#name, '{}')
    }
    this.#sink.ended()
    return 'done'
  }
}

/** Calls as a JSON list of objects. */
export class CallList implements CallReader {
  readonly #sink: CallSink
  readonly #options: CallObjectOptions
  #object: CallObject | undefined
  #state: 'open' | 'object' | 'comma-or-end' = 'open'

  constructor(sink: CallSink, options: CallObjectOptions) {
    this.#sink = sink
    this.#options = options
  }

  push(char: string): ReadStatus {
    if (this.#object !== undefined) return this.#inObject(this.#object, char)
    if (isSpace(char)) return 'more'
    if (this.#state === 'open') {
      if (char !== '[') return 'bad'
      this.#state = 'object'
      return 'more'
    }
    if (this.#state === 'object') {
      this.#object = new CallObject(this.#sink, this.#options)
      return this.#inObject(this.#object, char)
    }
    this.#state = 'object'
    return char === ']' ? 'done' : char === ',' ? 'more' : 'bad'
  }

  #inObject(object: CallObject, char: string): ReadStatus {
    const status = object.push(char)
    if (status !== 'done') return status
    this.#object = undefined
    this.#state = 'comma-or-end'
    return 'more'
  }
}

const isArgumentsKey = (key: string): boolean => key === 'arguments' || key === 'parameters'

/** The object that this JSON text is, or says as a string; undefined for neither. */
function argumentsIn(text: string): string | undefined {
  if (text.startsWith('{')) return text
  if (text === 'null') return '{}'
  if (!text.startsWith('"')) return undefined
  const said = (JSON.parse(text) as string).trim()
  if (said === '') return '{}'
  try {
    const value: unknown = JSON.parse(said)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? said : undefined
  } catch {
    return undefined
  }
}
