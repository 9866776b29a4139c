/** Bytes of a streamed answer to events, and what they say of the request. */
import { createParser, type EventSourceParser } from 'eventsource-parser'
import type { AnswerEvent, TargetAdapter } from './targets/adapter.ts'

/** Gathers what one answer says while it arrives. Malformed input becomes `error`; the first one counts. */
export class AnswerReader {
  /** `performance.now()` of each event that carried output. */
  readonly tokenTimes: number[] = []
  readonly tokenIds: number[] = []
  promptTokens: number | undefined
  cachedTokens: number | undefined
  outputTokens: number | undefined
  error: string | undefined
  readonly #adapter: Pick<TargetAdapter, 'read'>
  readonly #decoder = new TextDecoder()
  readonly #parser: EventSourceParser | undefined
  #rest = ''
  #at = 0
  #isDone = false

  constructor(adapter: Pick<TargetAdapter, 'read' | 'framing'>) {
    this.#adapter = adapter
    if (adapter.framing === 'lines') return
    this.#parser = createParser({
      onEvent: ({ data }) => this.#event(data),
      onError: ({ line, message }) => this.#malformed(line ?? message),
    })
  }

  feed(bytes: Uint8Array, at: number): void {
    this.#at = at
    const text = this.#decoder.decode(bytes, { stream: true })
    if (this.#parser !== undefined) this.#parser.feed(text)
    else this.#lines(text)
  }

  /** Call when the answer has ended properly. */
  end(): void {
    if (this.#rest.trim() !== '') this.#event(this.#rest)
    if (this.tokenTimes.length === 0) this.error ??= 'the stream ended without a token'
  }

  #lines(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) if (line.trim() !== '') this.#event(line)
  }

  #event(data: string): void {
    if (data === '[DONE]') {
      this.#isDone = true
      return
    }
    if (this.#isDone) this.#malformed(`${data} after [DONE]`)
    let json: unknown
    try {
      json = JSON.parse(data)
    } catch {
      this.#malformed(data)
      return
    }
    const event = this.#adapter.read(json)
    if (event === undefined) this.#malformed(data)
    else this.#take(event)
  }

  #take(event: AnswerEvent): void {
    if (event.isToken) this.tokenTimes.push(this.#at)
    if (event.tokenIds !== undefined) this.tokenIds.push(...event.tokenIds)
    this.promptTokens = event.promptTokens ?? this.promptTokens
    this.cachedTokens = event.cachedTokens ?? this.cachedTokens
    this.outputTokens = event.outputTokens ?? this.outputTokens
    this.error ??= event.error
  }

  #malformed(data: string): void {
    this.error ??= `malformed event: ${data.slice(0, 60)}`
  }
}
