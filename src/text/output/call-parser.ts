import type { CallReader, CallSink } from './call-reader.ts'
import type { OutputParser, ParsedEvent } from './events.ts'
import { isSpace } from './json-scanner.ts'
import { findMarker, spaceBefore, undecidedFrom } from './marker-search.ts'

/** Text that a call, or several, begin with. */
export interface Opening {
  readonly text: string
  /** `start`: only where nothing but calls has been said. */
  readonly where: 'anywhere' | 'start'
  /** The reader wants to see it too. */
  readonly isBody?: true
  /** Ends what it opened; without one, the end is where the reader says. */
  readonly close?: string
}

/** How a family of models writes calls. */
export interface CallSyntax {
  readonly openings: readonly Opening[]
  /** Characters that may stand between calls, beside white space. */
  readonly separators?: string
  reader(sink: CallSink): CallReader
}

/**
 * Finds calls in an answer by a syntax. What begins like a call and is none is content. Once a call's arguments have
 * begun it stays a call: if they break the rules of JSON, all up to the closing mark, or to the end, is told as
 * arguments, and the call is not valid.
 */
export class CallParser implements OutputParser {
  readonly #syntax: CallSyntax
  readonly #newId: () => string
  readonly #anywhere: readonly string[]
  readonly #events: ParsedEvent[] = []
  #state: 'start' | 'content' | 'body' | 'after' | 'broken' = 'start'
  /** Not looked at, or not decided. */
  #pending = ''
  #isFinal = false
  #hasCalls = false
  /** Nothing was said since the last call. */
  #isBlank = true
  #numCalls = 0
  #reader: CallReader | undefined
  #close: string | undefined
  /** What was read of this call, or of what may become one. */
  #source = ''
  /** How much of it is certainly content if it is no call. */
  #numOpening = 0
  #call: { readonly index: number; arguments: string; isComplete: boolean; isEnded: boolean } | undefined

  constructor(syntax: CallSyntax, newId: () => string) {
    this.#syntax = syntax
    this.#newId = newId
    this.#anywhere = syntax.openings.filter(({ where }) => where === 'anywhere').map(({ text }) => text)
  }

  feed(text: string): readonly ParsedEvent[] {
    this.#pending += text
    while (this.#turn());
    this.#tellArguments()
    return this.#events.splice(0)
  }

  finish(): readonly ParsedEvent[] {
    this.#isFinal = true
    while (this.#turn());
    return this.#events.splice(0)
  }

  /** False when there is nothing to do before more text comes. */
  #turn(): boolean {
    switch (this.#state) {
      case 'start':
        return this.#atStart()
      case 'content':
        return this.#inContent()
      case 'body':
        return this.#inBody()
      case 'after':
        return this.#afterCall()
      case 'broken':
        return this.#inBroken()
    }
  }

  #atStart(): boolean {
    const text = this.#pending
    const between = this.#hasCalls ? (this.#syntax.separators ?? '') : ''
    let from = 0
    while (from < text.length && (isSpace(text.charAt(from)) || between.includes(text.charAt(from)))) from++
    const rest = text.slice(from)
    if (rest === '' && !this.#isFinal) return false
    const openings = this.#syntax.openings.filter(({ where }) => where === 'start')
    const isOpen = openings.some(({ text: opening }) => opening !== rest && opening.startsWith(rest))
    if (isOpen && !this.#isFinal) return false
    const [opening] = openings
      .filter((one) => rest.startsWith(one.text))
      .toSorted((a, b) => b.text.length - a.text.length)
    if (opening === undefined) this.#state = 'content'
    else this.#open(opening, from)
    return true
  }

  /** At this place of what is pending, white space and the like before it. */
  #open({ text, isBody, close, where }: Opening, at: number): void {
    const bodyAt = isBody === true ? at : at + text.length
    this.#source = this.#pending.slice(0, bodyAt)
    this.#numOpening = where === 'anywhere' ? bodyAt : 0
    this.#pending = this.#pending.slice(bodyAt)
    this.#close = close
    this.#call = undefined
    this.#reader = this.#syntax.reader(this.#sink())
    this.#state = 'body'
  }

  #inContent(): boolean {
    const text = this.#pending
    const found = findMarker(text, this.#anywhere)
    const end = found?.at ?? (this.#isFinal ? text.length : undecidedFrom(text, this.#anywhere))
    const cut = spaceBefore(text, end)
    this.#tellContent(text.slice(0, cut))
    this.#pending = text.slice(cut)
    if (found !== undefined) {
      const opening = this.#syntax.openings.find((one) => one.text === found.marker)
      if (opening !== undefined) this.#open(opening, end - cut)
      return true
    }
    if (!this.#isFinal || this.#pending === '') return false
    if (this.#hasCalls && this.#isBlank) this.#events.push({ kind: 'markup', text: this.#pending })
    else this.#tellContent(this.#pending)
    this.#pending = ''
    return false
  }

  #tellContent(text: string): void {
    if (text === '') return
    this.#isBlank = false
    this.#events.push({ kind: 'content', text })
  }

  #inBody(): boolean {
    const text = this.#pending
    for (let index = 0; index < text.length; index++) {
      const char = text.charAt(index)
      const status = this.#reader?.push(char)
      if (status === 'bad') this.#pending = text.slice(index)
      else this.#source += char
      if (status === 'more') {
        if (this.#call?.isEnded === true) this.#endCall()
        continue
      }
      if (status === 'done') this.#pending = text.slice(index + 1)
      this.#leaveBody()
      return true
    }
    this.#pending = ''
    if (!this.#isFinal) return false
    if (this.#call?.isComplete === false) {
      this.#endCall()
      this.#state = 'start'
    } else this.#leaveBody()
    return true
  }

  /** At the end of what the reader takes. */
  #leaveBody(): void {
    if (this.#call !== undefined) this.#state = this.#call.isComplete ? 'after' : 'broken'
    else if (this.#hasRead()) this.#state = 'after'
    else {
      this.#tellContent(this.#source.slice(0, this.#numOpening))
      this.#pending = this.#source.slice(this.#numOpening) + this.#pending
      this.#source = ''
      this.#state = 'content'
    }
  }

  /** Only the end of a list of calls is left. */
  #hasRead(): boolean {
    return this.#hasCalls && this.#isBlank && /^[\s\]}]*$/.test(this.#source)
  }

  /** White space, brackets too many, and the closing mark still belong to the call. */
  #afterCall(): boolean {
    const text = this.#pending
    let end = 0
    let last = 0
    for (; end < text.length && (isSpace(text.charAt(end)) || '}]'.includes(text.charAt(end))); end++) {
      if (!isSpace(text.charAt(end))) last = end + 1
    }
    const rest = text.slice(end)
    const close = this.#close ?? ''
    const isClosed = close !== '' && rest.startsWith(close)
    if (!isClosed && !this.#isFinal && (rest === '' || (close !== '' && close.startsWith(rest)))) return false
    const cut = isClosed ? end + close.length : last
    this.#source += text.slice(0, cut)
    this.#pending = text.slice(cut)
    this.#endCall()
    this.#state = 'start'
    return true
  }

  #inBroken(): boolean {
    const text = this.#pending
    const markers = this.#close === undefined ? this.#anywhere : [...this.#anywhere, this.#close]
    const found = findMarker(text, markers)
    const end = found?.at ?? (this.#isFinal ? text.length : undecidedFrom(text, markers))
    this.#addArguments(text.slice(0, end))
    const cut = found !== undefined && found.marker === this.#close ? end + found.marker.length : end
    this.#source += text.slice(0, cut)
    this.#pending = text.slice(cut)
    if (found === undefined && !this.#isFinal) return false
    this.#endCall()
    this.#state = 'start'
    return true
  }

  #addArguments(text: string): void {
    if (this.#call !== undefined) this.#call.arguments += text
  }

  #endCall(): void {
    this.#tellArguments()
    const source = this.#source
    if (this.#call === undefined) this.#events.push({ kind: 'markup', text: source })
    else {
      const { index, isComplete } = this.#call
      this.#events.push({ kind: 'call-ended', index, isValid: isComplete, source })
    }
    this.#call = undefined
    this.#source = ''
    this.#numOpening = 0
    this.#isBlank = true
  }

  #tellArguments(): void {
    if (this.#call === undefined || this.#call.arguments === '') return
    this.#events.push({ kind: 'call-arguments', index: this.#call.index, text: this.#call.arguments })
    this.#call.arguments = ''
  }

  #sink(): CallSink {
    return {
      started: (name) => {
        const index = this.#numCalls++
        this.#hasCalls = true
        this.#call = { index, arguments: '', isComplete: false, isEnded: false }
        this.#events.push({ kind: 'call-started', index, id: this.#newId(), name })
      },
      arguments: (text) => this.#addArguments(text),
      complete: () => {
        if (this.#call !== undefined) this.#call.isComplete = true
      },
      ended: () => {
        if (this.#call !== undefined) this.#call.isEnded = true
      },
    }
  }
}
