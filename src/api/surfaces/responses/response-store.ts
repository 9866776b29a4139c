import type { ResponseObject } from './response-object.ts'
import type { History } from './request.ts'
import type { StoredItem } from './items.ts'

export interface StoredResponse {
  readonly response: ResponseObject
  /** Whose key asked. */
  readonly tenant: string | undefined
  /** Of this response alone. */
  readonly input: readonly StoredItem[]
  /** All that was said up to and with this response; instructions are not part of it. */
  readonly history: History
}

/**
 * The last responses, in memory, so that others may continue them; of too many, those go first that nobody asked for
 * the longest time. What a history shares with those before it is counted with each: it may hold less than its bound.
 */
export class ResponseStore {
  readonly #maxBytes: number
  readonly #entries = new Map<string, { readonly stored: StoredResponse; readonly numBytes: number }>()
  #numBytes = 0

  /** 0: nothing is stored. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get size(): number {
    return this.#entries.size
  }

  add(stored: StoredResponse): void {
    const numBytes = 2 * JSON.stringify([stored.response, stored.history]).length
    if (numBytes > this.#maxBytes) return
    this.#entries.set(stored.response.id, { stored, numBytes })
    this.#numBytes += numBytes
    for (const id of this.#entries.keys()) {
      if (this.#numBytes <= this.#maxBytes) return
      this.#remove(id)
    }
  }

  /** Undefined: never stored, forgotten, deleted, or of another tenant. */
  find(id: string, tenant: string | undefined): StoredResponse | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined || entry.stored.tenant !== tenant) return undefined
    this.#entries.delete(id)
    this.#entries.set(id, entry)
    return entry.stored
  }

  delete(id: string, tenant: string | undefined): boolean {
    if (this.find(id, tenant) === undefined) return false
    this.#remove(id)
    return true
  }

  #remove(id: string): void {
    this.#numBytes -= this.#entries.get(id)?.numBytes ?? 0
    this.#entries.delete(id)
  }
}
