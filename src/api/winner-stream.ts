import { appendEvents, type OutputEvent } from '../text/output/events.ts'
import { contentIn, type Choice } from './answer-format.ts'
import type { ChunkStream } from './chunk-stream.ts'
import type { TokenDetail } from './generation.ts'

/**
 * A race as a stream: who wins is known when a sample has finished, so each winner comes whole, in the order of
 * finishing, and nothing is told of the others.
 */
export class WinnerStream {
  readonly #chunks: ChunkStream
  readonly #numWinners: number
  readonly #runners = new Map<Choice, { readonly events: OutputEvent[]; readonly details: TokenDetail[] }>()

  constructor(chunks: ChunkStream, numWinners: number) {
    this.#chunks = chunks
    this.#numWinners = numWinners
  }

  delta(choice: Choice, events: readonly OutputEvent[], details: readonly TokenDetail[]): void {
    const held = this.#runners.get(choice) ?? { events: [], details: [] }
    this.#runners.set(choice, held)
    appendEvents(held.events, events)
    for (const detail of details) held.details.push(detail)
  }

  /** The sample is complete: `result` and `place` are set. */
  close(choice: Choice): void {
    const held = this.#runners.get(choice)
    this.#runners.delete(choice)
    const index = choice.place
    if (index >= this.#numWinners) return
    if (held !== undefined) this.#chunks.delta({ index, offset: 0, text: contentIn(held.events), ...held })
    this.#chunks.close({ ...choice, index })
  }
}
