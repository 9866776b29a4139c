import { CallList } from '../call-object.ts'
import type { CallReader, CallSink, ReadStatus } from '../call-reader.ts'
import { isSpace, JsonScanner } from '../json-scanner.ts'
import type { ToolFamily } from './family.ts'

const opening = '[TOOL_CALLS]'
const longestName = 256
const numCharacters = 9

/**
 * `[TOOL_CALLS]` and a list of objects with name and arguments, or, in models since 2025, a mark for each call with its
 * name, perhaps `[CALL_ID]` and an id, perhaps `[ARGS]`, and the arguments. Templates insist on ids of nine characters.
 */
export const mistral: ToolFamily = {
  name: 'mistral',
  markers: [opening, '[ARGS]', '[CALL_ID]'],
  callId: { prefix: '', numCharacters },
  fitId,
  fits: (template) => template.includes(opening),
  syntax: () => ({
    openings: [{ text: opening, where: 'anywhere' }],
    reader: (sink) => new MistralCall(sink),
  }),
  shape: {
    marker: opening,
    special: [opening],
    opening: `${opening}[{"name":`,
    argumentsKey: 'arguments',
    close: '}',
    next: ', {"name":',
    end: ']',
  },
}

/** FNV-1a, twice, for nine characters. */
function fitId(id: string): string {
  if (/^[a-zA-Z0-9]{9}$/.test(id)) return id
  const hash = (start: number) => {
    let state = start
    for (const char of id) state = Math.imul(state ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0
    return state.toString(36).padStart(7, '0')
  }
  return (hash(0x811c9dc5) + hash(0x050c5d1f)).slice(0, numCharacters)
}

/** Tells by the first character which of the two forms it is. */
class MistralCall implements CallReader {
  readonly #sink: CallSink
  #reader: CallReader | undefined

  constructor(sink: CallSink) {
    this.#sink = sink
  }

  push(char: string): ReadStatus {
    if (this.#reader === undefined && isSpace(char)) return 'more'
    this.#reader ??=
      char === '[' ? new CallList(this.#sink, { knownNames: undefined }) : new NamedCall(this.#sink)
    return this.#reader.push(char)
  }
}

/** `name[CALL_ID]id[ARGS]{...}` */
class NamedCall implements CallReader {
  readonly #sink: CallSink
  #head = ''
  #scanner: JsonScanner | undefined

  constructor(sink: CallSink) {
    this.#sink = sink
  }

  push(char: string): ReadStatus {
    if (this.#scanner === undefined) return this.#inHead(char)
    const status = this.#scanner.push(char)
    if (status === 'bad' || status === 'past') return 'bad'
    this.#sink.arguments(char)
    if (status === 'more') return 'more'
    this.#sink.complete()
    this.#sink.ended()
    return 'done'
  }

  #inHead(char: string): ReadStatus {
    if (char !== '{') {
      this.#head += char
      const isName = /^[\w.-]+\s*(\[[\w[\]-]*\s*)?$/.test(this.#head)
      return isName && this.#head.length < longestName ? 'more' : 'bad'
    }
    const [, name] = /^([\w.-]+)\s*(?:\[CALL_ID\][\w-]*\s*)?(?:\[ARGS\]\s*)?$/.exec(this.#head) ?? []
    if (name === undefined) return 'bad'
    this.#scanner = new JsonScanner()
    this.#scanner.push(char)
    this.#sink.started(name)
    this.#sink.arguments(char)
    return 'more'
  }
}
