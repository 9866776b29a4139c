/** Server-sent events over a raw response. */
import type { ServerResponse } from 'node:http'

export class SseWriter {
  readonly #response: ServerResponse

  /** `onReady` is called whenever a socket that was full takes more. */
  constructor(response: ServerResponse, headers: Readonly<Record<string, string>>, onReady: () => void) {
    this.#response = response
    response.writeHead(200, {
      ...headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    })
    response.on('drain', onReady)
  }

  /** The reader lags: what is sent now only fills memory. */
  get isFull(): boolean {
    return this.#response.writableNeedDrain
  }

  send(data: unknown): void {
    this.#response.write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`)
  }

  end(): void {
    this.#response.end()
  }
}
