import { createHash, randomUUID } from 'node:crypto'
import { ServingError } from '../core/errors.ts'
import type { ApiKey } from '../core/tenant.ts'

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The headers of a request that may hold a key. */
export interface KeyHeaders {
  readonly authorization?: string | undefined
  readonly 'x-api-key'?: string | readonly string[] | undefined
}

/**
 * Which keys open the server. Keys are found by their hash, so that how long a look takes tells nothing about any key.
 * Without keys everybody is let in.
 */
export class KeyRing {
  readonly #keys = new Map<string, ApiKey>()
  readonly #lent = new Map<string, ApiKey>()
  readonly #isOpen: boolean

  constructor(keys: readonly ApiKey[] | undefined) {
    this.#isOpen = keys === undefined
    this.replace(keys ?? [])
  }

  /** From the next request on only these open it. An open server stays open. */
  replace(keys: readonly ApiKey[]): void {
    this.#keys.clear()
    for (const key of keys) this.#keys.set(key.sha256, key)
  }

  /**
   * The key in the header `Authorization`, or in Anthropic's `x-api-key`; undefined when none is needed.
   * @throws {ServingError} UNAUTHORIZED
   */
  find(headers: KeyHeaders): ApiKey | undefined {
    if (this.#isOpen && this.#lent.size === 0) return undefined
    const given = /^Bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1] ?? headers['x-api-key']?.toString()
    const hash = given === undefined ? '' : sha256(given)
    const key = this.#lent.get(hash) ?? this.#keys.get(hash)
    if (key !== undefined || this.#isOpen) return key
    throw new ServingError('UNAUTHORIZED', 'A valid API key is needed: Authorization: Bearer KEY.')
  }

  /** A secret that opens the server as `key` does, until it is given back: for requests that the server makes itself. */
  lend(key: Omit<ApiKey, 'sha256'>): { readonly secret: string; giveBack(): void } {
    const secret = randomUUID()
    const hash = sha256(secret)
    this.#lent.set(hash, { ...key, sha256: hash })
    return { secret, giveBack: () => void this.#lent.delete(hash) }
  }
}
