import { ServingError } from '../core/errors.ts'

/** ENOSPC, EDQUOT and EFBIG of the system, SQLITE_FULL of the database: there is no room. */
const noRoom = /ENOSPC|EDQUOT|EFBIG|SQLITE_FULL|database or disk is full/

/** A disk without room as the error users see; anything else stays as it is. */
export function diskError(error: unknown): unknown {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  if (!noRoom.test(`${code} ${message}`)) return error
  return new ServingError('STORAGE_FULL', 'The disk of the data folder is full.', { cause: error })
}
