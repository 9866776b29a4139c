/** The parser of one answer: reasoning first, then calls, where either can be. */
import { CallParser, type CallSyntax } from './call-parser.ts'
import type { OutputParser, ParsedEvent } from './events.ts'
import { ReasoningParser, type ReasoningTags } from './reasoning-parser.ts'

export interface OutputParserOptions {
  /** Undefined: tags of reasoning are content. */
  readonly reasoning: { readonly tags: ReasoningTags; readonly isOpen: boolean } | undefined
  /** Undefined: there are no tools, and calls are content. */
  readonly calls: { readonly syntax: CallSyntax; readonly newId: () => string } | undefined
}

export function createOutputParser({ reasoning, calls }: OutputParserOptions): OutputParser {
  const rest = calls === undefined ? new PlainText() : new CallParser(calls.syntax, calls.newId)
  return reasoning === undefined ? rest : new ReasoningParser(reasoning.tags, rest, reasoning.isOpen)
}

class PlainText implements OutputParser {
  feed(text: string): readonly ParsedEvent[] {
    return text === '' ? [] : [{ kind: 'content', text }]
  }

  finish(): readonly ParsedEvent[] {
    return []
  }
}
