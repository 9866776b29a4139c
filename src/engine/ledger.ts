/**
 * What is unfinished, from the client's side: enough to tell listeners what happens and to go on after an engine died.
 * Both carriers keep one.
 */
import type { GenerationRequest } from '../core/request.ts'
import type { RequestId } from '../core/units.ts'
import type { SequenceListener, SequenceTimings } from './engine-client.ts'
import type { SequenceUpdate } from './protocol.ts'

export interface LedgerEntry {
  readonly request: GenerationRequest
  readonly listener: SequenceListener
  /** Tokens delivered so far, those that the request came with included. */
  readonly outputTokens: number[]
  /** The engine has begun with it. */
  hasRun: boolean
  isCancelled: boolean
  /** Crashes of the engine while this request was running. */
  numCrashes: number
}

export class Ledger {
  readonly #entries = new Map<RequestId, LedgerEntry>()

  get size(): number {
    return this.#entries.size
  }

  get entries(): IterableIterator<LedgerEntry> {
    return this.#entries.values()
  }

  add(request: GenerationRequest, listener: SequenceListener): LedgerEntry {
    const entry: LedgerEntry = {
      request,
      listener,
      outputTokens: [...request.outputTokens],
      hasRun: false,
      isCancelled: false,
      numCrashes: 0,
    }
    this.#entries.set(request.id, entry)
    return entry
  }

  find(id: RequestId): LedgerEntry | undefined {
    return this.#entries.get(id)
  }

  /** Tells the listeners what a step did. Updates of unknown requests are late, and dropped. */
  deliver(updates: readonly SequenceUpdate[]): void {
    for (const { id, tokenIds, logprobs, finish } of updates) {
      const entry = this.#entries.get(id)
      if (entry === undefined) continue
      entry.hasRun = true
      if (tokenIds.length > 0) {
        for (const tokenId of tokenIds) entry.outputTokens.push(tokenId)
        entry.listener({ kind: 'tokens', tokenIds, logprobs })
      }
      if (finish !== undefined) {
        this.#entries.delete(id)
        entry.listener({ kind: 'finished', ...finish })
      }
    }
  }

  /** Ends a request that the engine will not end any more. */
  fail(entry: LedgerEntry, message: string, timings: SequenceTimings): void {
    if (!this.#entries.delete(entry.request.id)) return
    const reason = entry.isCancelled ? 'cancelled' : 'error'
    const error = entry.isCancelled ? undefined : { code: 'ENGINE_FAILED' as const, message }
    entry.listener({ kind: 'finished', reason, error, timings })
  }

  /** The request as a new engine should receive it: with what was delivered already. */
  continuation({ request, outputTokens }: LedgerEntry): GenerationRequest {
    return { ...request, outputTokens: [...outputTokens] }
  }
}
