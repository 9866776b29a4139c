/**
 * The embedded SQLite database of a data folder. Write-ahead log: a process that is killed loses nothing it had
 * committed. Ordinary commits reach the disk with a later one (a power cut may take the newest); `durably` waits for it.
 */
import Database from 'libsql'
import { ServingError } from '../core/errors.ts'
import { diskError } from './disk-error.ts'

export type Value = string | number | null
export type Row = Readonly<Record<string, Value>>

/** One entry a version of the schema; a database of an older version gets what it lacks. */
const migrations: readonly string[] = [
  `CREATE TABLE files (
     id TEXT PRIMARY KEY, owner TEXT NOT NULL, filename TEXT NOT NULL, purpose TEXT NOT NULL,
     bytes INTEGER NOT NULL, created_at INTEGER NOT NULL
   );
   CREATE TABLE batches (
     seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, tenant TEXT NOT NULL,
     weight REAL NOT NULL, status TEXT NOT NULL, endpoint TEXT NOT NULL, input_file TEXT NOT NULL,
     completion_window TEXT NOT NULL, metadata TEXT NOT NULL, created_at INTEGER NOT NULL,
     expires_at INTEGER NOT NULL, times TEXT NOT NULL, errors TEXT NOT NULL,
     total INTEGER NOT NULL, completed INTEGER NOT NULL, failed INTEGER NOT NULL,
     output_file TEXT, error_file TEXT
   );
   CREATE TABLE results (
     batch INTEGER NOT NULL, line INTEGER NOT NULL, ok INTEGER NOT NULL, json TEXT NOT NULL,
     UNIQUE (batch, line)
   );`,
  `ALTER TABLE files ADD COLUMN expires_at INTEGER;
   ALTER TABLE batches ADD COLUMN output_seconds INTEGER;`,
]

export class SqliteDatabase {
  readonly #db: Database.Database
  readonly #statements = new Map<string, Database.Statement<Value[]>>()

  /** @throws {ServingError} INVALID_CONFIG when it is no database of this program, or one of a newer one. */
  constructor(path: string) {
    try {
      this.#db = new Database(path)
      this.#db.pragma('journal_mode = WAL')
      this.#db.pragma('synchronous = NORMAL')
      this.#migrate(path)
    } catch (error) {
      throw openFailure(error, path)
    }
  }

  run(sql: string, ...values: readonly Value[]): number {
    return guarded(() => this.#prepare(sql).run(...values).changes)
  }

  all(sql: string, ...values: readonly Value[]): readonly Row[] {
    return guarded(() => this.#prepare(sql).all(...values) as Row[])
  }

  get(sql: string, ...values: readonly Value[]): Row | undefined {
    return this.all(sql, ...values)[0]
  }

  /** All of `work` or nothing. */
  transaction<Result>(work: () => Result): Result {
    guarded(() => this.#db.exec('BEGIN IMMEDIATE'))
    try {
      const result = work()
      guarded(() => this.#db.exec('COMMIT'))
      return result
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
  }

  /** A transaction that is on the disk, with all before it, when this returns. */
  durably<Result>(work: () => Result): Result {
    this.#db.pragma('synchronous = FULL')
    try {
      return this.transaction(work)
    } finally {
      this.#db.pragma('synchronous = NORMAL')
    }
  }

  /** Afterwards the one file holds everything, for whoever copies it. */
  close(): void {
    this.#statements.clear()
    try {
      this.#db.pragma('wal_checkpoint(TRUNCATE)')
    } catch {
      // Closed before, or no room: the log beside the file holds the rest.
    }
    this.#db.close()
  }

  #prepare(sql: string): Database.Statement<Value[]> {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#db.prepare<Value[]>(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  #migrate(path: string): void {
    const version = Number(this.get('PRAGMA user_version')?.['user_version'] ?? 0)
    if (version > migrations.length) {
      throw new ServingError('INVALID_CONFIG', `${path} was written by a newer version of this program.`)
    }
    this.transaction(() => {
      for (const sql of migrations.slice(version)) this.#db.exec(sql)
      this.#db.exec(`PRAGMA user_version = ${migrations.length}`)
    })
  }
}

function guarded<Result>(work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    throw diskError(error)
  }
}

function openFailure(error: unknown, path: string): unknown {
  if (error instanceof ServingError) return error
  const text = error instanceof Error ? error.message : String(error)
  return new ServingError('INVALID_CONFIG', `${path} cannot be opened (${text}).`, { cause: error })
}
