/** Server-sent events over a raw response. A slow reader costs memory up to its own answer and nobody's time. */
import type { ServerResponse } from 'node:http'

export class SseWriter {
  readonly #response: ServerResponse
  /** Events held back while the socket is full. */
  #held: string[] = []

  constructor(response: ServerResponse, headers: Readonly<Record<string, string>>) {
    this.#response = response
    response.writeHead(200, {
      ...headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      connection: 'keep-alive',
      'x-accel-buffering': 'no',
    })
    response.on('drain', () => this.#release())
  }

  send(data: unknown): void {
    const event = `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
    if (this.#response.writableNeedDrain) this.#held.push(event)
    else this.#response.write(event)
  }

  end(): void {
    this.#response.end(this.#held.join(''))
    this.#held = []
  }

  #release(): void {
    if (this.#held.length === 0) return
    const events = this.#held.join('')
    this.#held = []
    this.#response.write(events)
  }
}
