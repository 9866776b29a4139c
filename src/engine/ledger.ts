/**
 * What is unfinished, from the client's side: enough to tell listeners what happens, and to go on in another engine
 * when one dies. Both carriers keep one.
 */
import type { GenerationRequest } from '../core/request.ts'
import type { Micros, RequestId } from '../core/units.ts'
import type { SequenceError, SequenceEvent, SequenceListener, SequenceTimings } from './engine-client.ts'
import type { SequenceUpdate } from './protocol.ts'
import { timingsWithoutRun } from './sequence-updates.ts'
import { systemClock } from './system-clock.ts'

interface Entry {
  readonly request: GenerationRequest
  readonly listener: SequenceListener
  /** Tokens delivered so far, those that the request came with included. */
  readonly outputTokens: number[]
  firstScheduledAt: Micros | undefined
  firstTokenAt: Micros | undefined
}

export class Ledger {
  readonly #entries = new Map<RequestId, Entry>()

  get size(): number {
    return this.#entries.size
  }

  has(id: RequestId): boolean {
    return this.#entries.has(id)
  }

  /** False, and the listener will hear that it failed, when the id is taken. */
  add(request: GenerationRequest, listener: SequenceListener): boolean {
    if (this.#entries.has(request.id)) {
      refuse(request, listener, {
        code: 'INVALID_REQUEST',
        message: `There is a request ${request.id} already.`,
      })
      return false
    }
    const outputTokens = [...request.outputTokens]
    const entry = { request, listener, outputTokens, firstScheduledAt: undefined, firstTokenAt: undefined }
    this.#entries.set(request.id, entry)
    return true
  }

  noteStarted(ids: readonly RequestId[], at: Micros): void {
    for (const id of ids) {
      const entry = this.#entries.get(id)
      if (entry !== undefined) entry.firstScheduledAt ??= at
    }
  }

  /** Tells the listeners. Updates of unknown requests are late, and dropped. */
  deliver(updates: readonly SequenceUpdate[]): void {
    const now = systemClock.now()
    for (const { id, tokenIds, logprobs, finish } of updates) {
      const entry = this.#entries.get(id)
      if (entry === undefined) continue
      if (tokenIds.length > 0) {
        entry.firstTokenAt ??= now
        for (const tokenId of tokenIds) entry.outputTokens.push(tokenId)
        tell(entry.listener, { kind: 'tokens', tokenIds, logprobs })
      }
      // Its listener may have failed everybody meanwhile.
      if (finish === undefined || !this.#entries.delete(id)) continue
      tell(entry.listener, { kind: 'finished', ...finish, timings: withEarlier(finish.timings, entry) })
    }
  }

  /** Ends a request that no engine will end: with an error, or as cancelled. */
  end(id: RequestId, error: SequenceError | undefined): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    const timings = withEarlier(timingsWithoutRun(entry.request, systemClock.now()), entry)
    tell(entry.listener, {
      kind: 'finished',
      reason: error === undefined ? 'cancelled' : 'error',
      error,
      timings,
    })
  }

  endAll(error: SequenceError): void {
    for (const id of [...this.#entries.keys()]) this.end(id, error)
  }

  /** The requests as a new engine should receive them: with what was delivered already. */
  continuationsOf(ids: readonly RequestId[]): GenerationRequest[] {
    const entries = ids.map((id) => this.#entries.get(id)).filter((entry) => entry !== undefined)
    return entries.map(({ request, outputTokens }) => ({ ...request, outputTokens }))
  }
}

/** The `finished` event of a request that was never taken on; not before the caller has returned. */
export function refuse(request: GenerationRequest, listener: SequenceListener, error: SequenceError): void {
  queueMicrotask(() => {
    const timings = timingsWithoutRun(request, systemClock.now())
    listener({ kind: 'finished', reason: 'error', error, timings })
  })
}

/** A listener that throws is a mistake of its own, and costs nobody else their tokens. */
function tell(listener: SequenceListener, event: SequenceEvent): void {
  try {
    listener(event)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}

/** An engine that took a request over knows nothing of the time before. */
function withEarlier(timings: SequenceTimings, { firstScheduledAt, firstTokenAt }: Entry): SequenceTimings {
  return {
    ...timings,
    firstScheduledAt: earlier(firstScheduledAt, timings.firstScheduledAt),
    firstTokenAt: earlier(firstTokenAt, timings.firstTokenAt),
  }
}

function earlier(a: Micros | undefined, b: Micros | undefined): Micros | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return a < b ? a : b
}
