/** What an answer is made of, and how a surface writes it down: as one JSON body, or as the pieces of a stream. */
import type { ServingError } from '../core/errors.ts'
import type { OutputEvent, OutputPart } from '../text/output/events.ts'
import type { GenerationResult, TokenDetail } from './generation.ts'
import type { Usage } from './usage.ts'

export interface Choice {
  readonly index: number
  /** The content alone. */
  text: string
  /** All of it, in order (see `partsOf`), unless the answer is streamed. */
  readonly events: OutputEvent[]
  readonly details: TokenDetail[]
  result: GenerationResult | undefined
  /** How many finished before it. */
  place: number
}

/** What is new of a choice, behind the `offset` characters of content that it has already. */
export interface Delta {
  readonly index: number
  readonly offset: number
  /** The content alone. */
  readonly text: string
  /** All of it; reasoning and calls too. */
  readonly events: readonly OutputEvent[]
  readonly details: readonly TokenDetail[]
}

/** All of an answer that is known at its end. */
export interface AnswerTotals {
  readonly usage: Usage
  /** Of the choices that finished; at least one. */
  readonly results: readonly GenerationResult[]
}

export const contentIn = (events: readonly (OutputEvent | OutputPart)[]): string =>
  events.map((event) => (event.kind === 'content' ? event.text : '')).join('')

/** The text of a stream comes in pieces; an empty one is not sent. */
export interface AnswerFormat {
  readonly contentType: string
  /** An answer that is not streamed. */
  body(choices: readonly Choice[], totals: AnswerTotals): unknown
  opening(numChoices: number): string
  delta(delta: Delta): string
  /** A choice is complete; `isLast`: so are all of them. */
  closing(index: number, result: GenerationResult, isLast: boolean): string
  finish(totals: AnswerTotals): string
  /** In place of `finish`. */
  failure(error: ServingError): string
}
