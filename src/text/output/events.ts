/**
 * What the text of an answer turns out to be: content, reasoning, and calls of tools. Parsers make these events, and
 * API surfaces write them down; neither knows the other.
 */

export type OutputEvent =
  | { readonly kind: 'content'; readonly text: string }
  | { readonly kind: 'reasoning'; readonly text: string }
  /** The arguments of a call follow as pieces of JSON text, before anything else but markup. */
  | { readonly kind: 'call-started'; readonly index: number; readonly id: string; readonly name: string }
  | { readonly kind: 'call-arguments'; readonly index: number; readonly text: string }
  | {
      readonly kind: 'call-ended'
      readonly index: number
      /** The arguments are one whole JSON object. If not, they are as the model wrote them, perhaps cut short. */
      readonly isValid: boolean
      /** All of the call as the model wrote it. */
      readonly source: string
    }

/** Tags and the space around them, which nobody is shown. */
export interface Markup {
  readonly kind: 'markup'
  readonly text: string
}

export type ParsedEvent = OutputEvent | Markup

/**
 * Reads one answer, in pieces of any size: the events of the same text are the same however it was cut, but for the
 * cuts within texts. No text is refused and no character lost: contents, reasonings, markups and sources of calls, put
 * one behind the other, are the text.
 */
export interface OutputParser {
  /** What is certain by now. */
  feed(text: string): readonly ParsedEvent[]
  /** The text has ended. Nothing may be fed any more. */
  finish(): readonly ParsedEvent[]
}

/** A part of a whole answer. */
export type OutputPart =
  | { readonly kind: 'content'; readonly text: string }
  | { readonly kind: 'reasoning'; readonly text: string }
  /** `arguments` is the text of a JSON object. */
  | { readonly kind: 'call'; readonly id: string; readonly name: string; readonly arguments: string }

/** Adds events to those before them, joining pieces of one text. */
export function appendEvents(to: OutputEvent[], events: readonly OutputEvent[]): void {
  for (const event of events) {
    const last = to.at(-1)
    const joined = last === undefined ? undefined : join(last, event)
    if (joined === undefined) to.push(event)
    else to[to.length - 1] = joined
  }
}

function join(first: OutputEvent, second: OutputEvent): OutputEvent | undefined {
  if (first.kind !== second.kind || !('text' in first) || !('text' in second)) return undefined
  if (first.kind === 'call-arguments' && second.kind === 'call-arguments' && first.index !== second.index) {
    return undefined
  }
  return { ...first, text: first.text + second.text }
}

/** A whole answer, in order. A call that came out wrong is content, as the model wrote it. */
export function partsOf(events: readonly OutputEvent[]): OutputPart[] {
  const parts: OutputPart[] = []
  let call: { id: string; name: string; arguments: string } | undefined
  for (const event of events) {
    if (event.kind === 'call-started') call = { id: event.id, name: event.name, arguments: '' }
    else if (event.kind === 'call-arguments')
      call = call && { ...call, arguments: call.arguments + event.text }
    else if (event.kind !== 'call-ended') addText(parts, event)
    else if (!event.isValid || call === undefined) addText(parts, { kind: 'content', text: event.source })
    else parts.push({ kind: 'call', ...call })
  }
  return parts
}

function addText(parts: OutputPart[], part: { kind: 'content' | 'reasoning'; text: string }): void {
  const last = parts.at(-1)
  if (last?.kind === part.kind) parts[parts.length - 1] = { ...part, text: last.text + part.text }
  else if (part.text !== '') parts.push(part)
}
