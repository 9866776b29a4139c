import type { OutputParser, ParsedEvent } from './events.ts'
import { spaceAfter, spaceBefore, undecidedFrom } from './marker-search.ts'

export interface ReasoningTags {
  readonly open: string
  readonly close: string
}

/**
 * Splits off the reasoning that an answer begins with, and leaves the rest to another parser. Tags in the middle of an
 * answer are content. White space at the edges of the reasoning is markup.
 */
export class ReasoningParser implements OutputParser {
  readonly #tags: ReasoningTags
  readonly #rest: OutputParser
  readonly #events: ParsedEvent[] = []
  #state: 'before' | 'opened' | 'inside' | 'closed' | 'rest'
  #pending = ''

  /** `isOpen`: the prompt ends within the reasoning. */
  constructor(tags: ReasoningTags, rest: OutputParser, isOpen: boolean) {
    this.#tags = tags
    this.#rest = rest
    this.#state = isOpen ? 'opened' : 'before'
  }

  feed(text: string): readonly ParsedEvent[] {
    if (this.#state === 'rest') return this.#rest.feed(text)
    this.#pending += text
    while (this.#turn(false));
    return this.#events.splice(0)
  }

  finish(): readonly ParsedEvent[] {
    while (this.#turn(true));
    if (this.#state === 'inside') this.#tell('reasoning', this.#pending.length)
    else if (this.#state === 'opened' || this.#state === 'closed') this.#tell('markup', this.#pending.length)
    return [...this.#events.splice(0), ...this.#rest.finish()]
  }

  /** False when there is nothing to do before more text comes. */
  #turn(isFinal: boolean): boolean {
    switch (this.#state) {
      case 'before':
      case 'opened':
        return this.#atOpening(isFinal)
      case 'inside':
        return this.#inside()
      case 'closed': {
        const end = spaceAfter(this.#pending, 0)
        if (end === this.#pending.length) return false
        this.#tell('markup', end)
        return this.#goOn('rest')
      }
      case 'rest':
        if (this.#pending !== '') this.#events.push(...this.#rest.feed(this.#pending))
        this.#pending = ''
        return false
    }
  }

  #atOpening(isFinal: boolean): boolean {
    const { open } = this.#tags
    const from = spaceAfter(this.#pending, 0)
    const said = this.#pending.slice(from)
    if (said.startsWith(open)) {
      this.#tell('markup', from + open.length)
      return this.#goOn('opened')
    }
    const isUndecided = !isFinal && open.startsWith(said)
    if (isUndecided || (this.#state === 'opened' && said === '')) return false
    if (this.#state === 'before') return this.#goOn('rest')
    this.#tell('markup', from)
    return this.#goOn('inside')
  }

  #inside(): boolean {
    const { close } = this.#tags
    const at = this.#pending.indexOf(close)
    const end = at === -1 ? undecidedFrom(this.#pending, [close]) : at
    const cut = spaceBefore(this.#pending, end)
    this.#tell('reasoning', cut)
    if (at === -1) return false
    this.#tell('markup', end - cut + close.length)
    return this.#goOn('closed')
  }

  #goOn(state: 'opened' | 'inside' | 'closed' | 'rest'): true {
    this.#state = state
    return true
  }

  /** So many characters of what is pending. */
  #tell(kind: 'markup' | 'reasoning', length: number): void {
    if (length > 0) this.#events.push({ kind, text: this.#pending.slice(0, length) })
    this.#pending = this.#pending.slice(length)
  }
}
