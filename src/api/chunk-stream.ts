/**
 * One answer as a stream of chunks. While the reader lags, new text is not written but joined to what the choice
 * already waits to send: a slow reader costs as much memory as its answer has text, and nobody else's time.
 */
import type { ServerResponse } from 'node:http'
import type { ServingError } from '../core/errors.ts'
import type { AnswerFormat, Choice, Delta } from './answer.ts'
import { errorBody } from './errors.ts'
import type { GenerationResult, TokenDetail } from './generation.ts'
import { SseWriter } from './sse.ts'
import { timingsOf, type Usage } from './usage.ts'

export interface ChunkStreamOptions {
  readonly headers: Readonly<Record<string, string>>
  readonly numChoices: number
  readonly numPromptTokens: number
  readonly includeUsage: boolean
}

interface Held {
  readonly index: number
  readonly offset: number
  text: string
  readonly details: TokenDetail[]
  result: GenerationResult | undefined
}

export class ChunkStream {
  readonly #sse: SseWriter
  readonly #format: AnswerFormat
  readonly #options: ChunkStreamOptions
  readonly #held = new Map<number, Held>()
  #numOpen: number

  constructor(response: ServerResponse, format: AnswerFormat, options: ChunkStreamOptions) {
    this.#sse = new SseWriter(response, options.headers, () => this.#release())
    this.#format = format
    this.#options = options
    this.#numOpen = options.numChoices
    for (let index = 0; index < options.numChoices; index++) {
      const opening = format.opening(index)
      if (opening !== undefined) this.#sendChoice(opening)
    }
  }

  delta(delta: Delta): void {
    const held = this.#held.get(delta.index)
    if (held !== undefined) {
      held.text += delta.text
      for (const detail of delta.details) held.details.push(detail)
    } else if (this.#sse.isFull) {
      this.#held.set(delta.index, { ...delta, details: [...delta.details], result: undefined })
    } else {
      this.#sendChoice(this.#format.delta(delta))
    }
  }

  /** The choice is complete; `choice.result` is set. */
  close({ index, text, result }: Choice): void {
    if (result === undefined) return
    const held = this.#held.get(index)
    if (held !== undefined) held.result = result
    else if (this.#sse.isFull)
      this.#held.set(index, { index, offset: text.length, text: '', details: [], result })
    else this.#sendClosing(index, result)
  }

  /** Sends what is held back, the usage if the request wanted it, and the end mark. */
  finish(usage: Usage): void {
    this.#flush()
    if (this.#options.includeUsage) this.#sse.send({ ...this.#format.chunkEnvelope, choices: [], usage })
    this.#sse.send('[DONE]')
    this.#sse.end()
  }

  /** The stream ends with an error object in place of the end mark. */
  fail(error: ServingError): void {
    this.#flush()
    this.#sse.send(errorBody(error.code, error.message, error.param))
    this.#sse.end()
  }

  #release(): void {
    for (const held of this.#held.values()) {
      if (this.#sse.isFull) return
      this.#sendHeld(held)
    }
  }

  #flush(): void {
    for (const held of this.#held.values()) this.#sendHeld(held)
  }

  #sendHeld(held: Held): void {
    this.#held.delete(held.index)
    if (held.text !== '' || held.details.length > 0) this.#sendChoice(this.#format.delta(held))
    if (held.result !== undefined) this.#sendClosing(held.index, held.result)
  }

  #sendClosing(index: number, result: GenerationResult): void {
    const isLast = --this.#numOpen === 0
    const extra = isLast ? { timings: timingsOf(this.#options.numPromptTokens, result) } : {}
    this.#sendChoice(this.#format.closing(index, result.reason), extra)
  }

  #sendChoice(choice: unknown, extra: object = {}): void {
    const usage = this.#options.includeUsage ? { usage: null } : {}
    this.#sse.send({ ...this.#format.chunkEnvelope, choices: [choice], ...usage, ...extra })
  }
}
