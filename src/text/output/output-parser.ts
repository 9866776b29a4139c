/** The parser of one answer: reasoning first, then calls, where either can be. */
import { CallParser, type CallSyntax } from './call-parser.ts'
import type { OutputParser, ParsedEvent } from './events.ts'
import { ReasoningParser, type ReasoningTags } from './reasoning-parser.ts'

export interface ReasoningOptions {
  readonly tags: ReasoningTags
  /** The prompt ends within the reasoning. */
  readonly isOpen: boolean
  /** Nobody is shown it. */
  readonly isHidden?: boolean
}

export interface OutputParserOptions {
  /** Undefined: tags of reasoning are content. */
  readonly reasoning?: ReasoningOptions | undefined
  /** Undefined: there are no tools, and calls are content. */
  readonly calls?: { readonly syntax: CallSyntax; readonly newId: () => string } | undefined
  /** What the prompt has of the answer already. */
  readonly opening?: string
}

export function createOutputParser({ reasoning, calls, opening = '' }: OutputParserOptions): OutputParser {
  const rest = calls === undefined ? new PlainText() : new CallParser(calls.syntax, calls.newId)
  const parser = reasoning === undefined ? rest : new ReasoningParser(reasoning.tags, rest, reasoning.isOpen)
  const shown = reasoning?.isHidden === true ? new HiddenReasoning(parser) : parser
  return opening === '' ? shown : new Opened(shown, opening)
}

class PlainText implements OutputParser {
  feed(text: string): readonly ParsedEvent[] {
    return text === '' ? [] : [{ kind: 'content', text }]
  }

  finish(): readonly ParsedEvent[] {
    return []
  }
}

class HiddenReasoning implements OutputParser {
  readonly #parser: OutputParser

  constructor(parser: OutputParser) {
    this.#parser = parser
  }

  feed(text: string): readonly ParsedEvent[] {
    return this.#parser.feed(text).map(hidden)
  }

  finish(): readonly ParsedEvent[] {
    return this.#parser.finish().map(hidden)
  }
}

const hidden = (event: ParsedEvent): ParsedEvent =>
  event.kind === 'reasoning' ? { kind: 'markup', text: event.text } : event

/** Has read the opening before anything else. */
class Opened implements OutputParser {
  readonly #parser: OutputParser
  #events: readonly ParsedEvent[]

  constructor(parser: OutputParser, opening: string) {
    this.#parser = parser
    this.#events = parser.feed(opening)
  }

  feed(text: string): readonly ParsedEvent[] {
    const events = [...this.#events, ...this.#parser.feed(text)]
    this.#events = []
    return events
  }

  finish(): readonly ParsedEvent[] {
    return [...this.#events, ...this.#parser.finish()]
  }
}
