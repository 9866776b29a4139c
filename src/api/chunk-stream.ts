/**
 * One answer as a stream of chunks. While the reader lags, new text is not written but joined to what the choice
 * already waits to send: a slow reader costs as much memory as its answer has text, and nobody else's time.
 */
import type { ServerResponse } from 'node:http'
import type { ServingError } from '../core/errors.ts'
import { appendEvents, type OutputEvent } from '../text/output/events.ts'
import type { AnswerFormat, AnswerTotals, Choice, Delta } from './answer-format.ts'
import type { GenerationResult, TokenDetail } from './generation.ts'

export interface ChunkStreamOptions {
  readonly headers: Readonly<Record<string, string>>
  readonly numChoices: number
}

interface Held {
  readonly index: number
  readonly offset: number
  text: string
  readonly events: OutputEvent[]
  readonly details: TokenDetail[]
  result: GenerationResult | undefined
}

export class ChunkStream {
  readonly #response: ServerResponse
  readonly #format: AnswerFormat
  readonly #held = new Map<number, Held>()
  #numOpen: number

  constructor(response: ServerResponse, format: AnswerFormat, { headers, numChoices }: ChunkStreamOptions) {
    this.#response = response
    this.#format = format
    this.#numOpen = numChoices
    response.writeHead(200, {
      ...headers,
      'content-type': format.contentType,
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    })
    response.on('drain', () => this.#release())
    this.#send(format.opening(numChoices))
  }

  delta(delta: Delta): void {
    const held = this.#held.get(delta.index)
    if (held !== undefined) {
      held.text += delta.text
      appendEvents(held.events, delta.events)
      for (const detail of delta.details) held.details.push(detail)
    } else if (this.#isFull) {
      this.#held.set(delta.index, {
        ...delta,
        events: [...delta.events],
        details: [...delta.details],
        result: undefined,
      })
    } else {
      this.#send(this.#format.delta(delta))
    }
  }

  /** The choice is complete; `choice.result` is set. */
  close({ index, text, result }: Choice): void {
    if (result === undefined) return
    const held = this.#held.get(index)
    if (held !== undefined) held.result = result
    else if (this.#isFull)
      this.#held.set(index, { index, offset: text.length, text: '', events: [], details: [], result })
    else this.#sendClosing(index, result)
  }

  /** Sends what is held back, and the end. */
  finish(totals: AnswerTotals): void {
    this.#flush()
    this.#send(this.#format.finish(totals))
    this.#response.end()
  }

  /** The stream ends with an error in place of the end. */
  fail(error: ServingError): void {
    this.#flush()
    this.#send(this.#format.failure(error))
    this.#response.end()
  }

  /** The reader lags: what is sent now only fills memory. */
  get #isFull(): boolean {
    return this.#response.writableNeedDrain
  }

  #release(): void {
    for (const held of this.#held.values()) {
      if (this.#isFull) return
      this.#sendHeld(held)
    }
  }

  #flush(): void {
    for (const held of this.#held.values()) this.#sendHeld(held)
  }

  #sendHeld(held: Held): void {
    this.#held.delete(held.index)
    if (held.events.length > 0 || held.details.length > 0) this.#send(this.#format.delta(held))
    if (held.result !== undefined) this.#sendClosing(held.index, held.result)
  }

  #sendClosing(index: number, result: GenerationResult): void {
    this.#send(this.#format.closing(index, result, --this.#numOpen === 0))
  }

  #send(text: string): void {
    if (text !== '') this.#response.write(text)
  }
}
