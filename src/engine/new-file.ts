import { openSync } from 'node:fs'
import { ServingError } from '../core/errors.ts'

const mostFiles = 1000

/**
 * Opens a file that was not there. An engine that takes another's place writes to `path.1` beside the first one's, and
 * so on. `what`: of what it is a file, for the message.
 * @throws {ServingError} INVALID_CONFIG when the file cannot be made.
 */
export function openNewFile(path: string, what: string): number {
  for (let count = 0; count < mostFiles; count += 1) {
    const name = count === 0 ? path : `${path}.${count}`
    try {
      return openSync(name, 'wx')
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') continue
      throw new ServingError('INVALID_CONFIG', `${name}: no ${what} can be written (${String(cause)}).`, {
        cause,
      })
    }
  }
  throw new ServingError('INVALID_CONFIG', `${path}: there are ${mostFiles} such files already.`)
}
