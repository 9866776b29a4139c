/** A data folder: `switchyard.db` and `files/`. One process has it at a time. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { reasonOf, ServingError } from '../core/errors.ts'
import { lockStore } from '../tiers/store-lock.ts'
import { BatchStore } from './batch-store.ts'
import { SqliteDatabase } from './database.ts'
import { FileStore } from './file-store.ts'

export interface Store {
  readonly dir: string
  readonly files: FileStore
  readonly batches: BatchStore
  /** All of it or nothing, and on the disk when it returns. */
  durably<Result>(work: () => Result): Result
  /** Also removes the folder of a temporary store. */
  close(): Promise<void>
}

/** @throws {ServingError} INVALID_CONFIG when the folder cannot be had. `now`: seconds since 1970. */
export async function openStore(dir: string, now: () => number = wallClock): Promise<Store> {
  const files = join(dir, 'files')
  try {
    mkdirSync(files, { recursive: true, mode: 0o700 })
  } catch (cause) {
    const message = `The data folder ${dir} cannot be made (${reasonOf(cause)}).`
    throw new ServingError('INVALID_CONFIG', message, { cause })
  }
  const lock = await lockStore(join(dir, 'lock')).catch((cause: unknown) => {
    const message = `The data folder ${dir} cannot be written (${reasonOf(cause)}).`
    throw new ServingError('INVALID_CONFIG', message, { cause })
  })
  if (lock === undefined) {
    throw new ServingError('INVALID_CONFIG', `The data folder ${dir} is in use by another process.`)
  }
  try {
    const db = new SqliteDatabase(join(dir, 'switchyard.db'))
    return {
      dir,
      files: new FileStore(db, files, now),
      batches: new BatchStore(db),
      durably: (work) => db.durably(work),
      close() {
        db.close()
        return lock.release()
      },
    }
  } catch (error) {
    await lock.release()
    throw error
  }
}

/** A store that ends with the process. */
export async function openTemporaryStore(now?: () => number): Promise<Store> {
  const dir = mkdtempSync(join(tmpdir(), 'switchyard-'))
  const store = await openStore(dir, now)
  return {
    ...store,
    async close() {
      await store.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

export const wallClock = (): number => Math.floor(Date.now() / 1000)
