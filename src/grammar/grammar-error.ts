import { ServingError } from '../core/errors.ts'

/**
 * The error for a grammar that cannot be kept to. `where` is the path within the schema, or what part of the
 * notation is meant; the API puts the field's name in front.
 */
export function grammarError(message: string): ServingError {
  return new ServingError('INVALID_REQUEST', message)
}
