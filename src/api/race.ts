import { randomUUID } from 'node:crypto'
import { ServingError } from '../core/errors.ts'
import type { Race } from '../core/request.ts'
import type { Picking } from './choice-picking.ts'

interface RaceFields {
  readonly race?: number | undefined
}

/**
 * What `race` in a body asks for; nothing without it.
 * @throws {ServingError} INVALID_REQUEST
 */
export function raceOf(
  { race: numWinners }: RaceFields,
  numSamples: number,
): { readonly race: Race | undefined; readonly picking: Picking | undefined } {
  if (numWinners === undefined) return { race: undefined, picking: undefined }
  const refuse = (message: string) => new ServingError('INVALID_REQUEST', message, { param: 'race' })
  if (numWinners > numSamples) throw refuse(`'race' is ${numWinners}, but 'n' is ${numSamples}.`)
  return { race: { name: randomUUID(), numWinners }, picking: { by: 'first', count: numWinners } }
}
