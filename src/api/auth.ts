import { createHash, timingSafeEqual } from 'node:crypto'
import { ServingError } from '../core/errors.ts'

/** Compares hashes, so that neither the content nor the length of the key shows in the time it takes. */
export function checkApiKey(expected: string | undefined, authorization: string | undefined): void {
  if (expected === undefined) return
  const given = /^Bearer +(.+)$/i.exec(authorization ?? '')?.[1]
  if (given !== undefined && timingSafeEqual(digest(given), digest(expected))) return
  throw new ServingError('UNAUTHORIZED', 'A valid API key is needed: Authorization: Bearer KEY.')
}

const digest = (key: string) => createHash('sha256').update(key).digest()
