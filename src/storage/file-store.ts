/** Files that clients sent or that the server wrote for them: one file each in a folder, what is known of it a row. */
import { randomUUID } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Row, SqliteDatabase } from './database.ts'
import { diskError } from './disk-error.ts'

export interface StoredFile {
  readonly id: string
  /** Who may see it; empty: everybody. */
  readonly owner: string
  readonly filename: string
  readonly purpose: string
  readonly bytes: number
  /** Seconds since 1970. */
  readonly createdAt: number
  /** Seconds since 1970; undefined: it stays until somebody removes it. */
  readonly expiresAt: number | undefined
}

export type NewFile = Pick<StoredFile, 'owner' | 'filename' | 'purpose'>

/** Where the next page of a list begins, and how long it may be. */
export interface Page {
  readonly after: string | undefined
  readonly limit: number
  readonly order: 'asc' | 'desc'
}

const partSuffix = '.part'

export class FileStore {
  readonly #db: SqliteDatabase
  readonly #dir: string
  readonly #now: () => number

  /** `now`: seconds since 1970. Leftovers of a process that was killed are removed. */
  constructor(db: SqliteDatabase, dir: string, now: () => number) {
    this.#db = db
    this.#dir = dir
    this.#now = now
    this.removeExpired()
    for (const name of readdirSync(dir)) {
      if (this.#find(name) === undefined) rmSync(join(dir, name), { force: true })
    }
  }

  /** A file to write to; nobody sees it before it is sealed and added. @throws {ServingError} STORAGE_FULL */
  async create(file: NewFile): Promise<FileWriter> {
    const id = `file-${randomUUID().replaceAll('-', '')}`
    const path = this.path(id)
    const handle = await open(path + partSuffix, 'wx', 0o600).catch((error: unknown) => {
      throw diskError(error)
    })
    return new FileWriter(handle, path, (bytes) => ({
      ...file,
      id,
      bytes,
      createdAt: this.#now(),
      expiresAt: undefined,
    }))
  }

  /** From now on everybody sees it, also after a crash. */
  add(file: StoredFile): void {
    this.#db.durably(() => this.addWithin(file))
  }

  /** `add` as a part of a transaction that is open. */
  addWithin({ id, owner, filename, purpose, bytes, createdAt, expiresAt }: StoredFile): void {
    this.#db.run(
      'INSERT INTO files (id, owner, filename, purpose, bytes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
      ...[id, owner, filename, purpose, bytes, createdAt, expiresAt ?? null],
    )
  }

  /** One whose time is over is not there. */
  find(id: string, owner: string): StoredFile | undefined {
    const file = this.#find(id)
    if (file === undefined || (owner !== '' && file.owner !== owner)) return undefined
    return file.expiresAt !== undefined && file.expiresAt <= this.#now() ? undefined : file
  }

  list(owner: string, purpose: string | undefined, page: Page): readonly StoredFile[] {
    const [compare, direction] = page.order === 'asc' ? ['>', 'ASC'] : ['<', 'DESC']
    const after =
      page.after === undefined
        ? undefined
        : this.#db.get('SELECT rowid AS n FROM files WHERE id = ?', page.after)
    const from = after?.['n'] ?? (page.order === 'asc' ? 0 : Number.MAX_SAFE_INTEGER)
    return this.#db
      .all(
        `SELECT * FROM files WHERE rowid ${compare} ? AND (? = '' OR owner = ?) AND (? = '' OR purpose = ?)
         AND (expires_at IS NULL OR expires_at > ?) ORDER BY rowid ${direction} LIMIT ?`,
        ...[from, owner, owner, purpose ?? '', purpose ?? '', this.#now(), page.limit],
      )
      .map(toFile)
  }

  /** The row goes first: a file without one is removed at the next start. */
  remove(id: string): void {
    this.#db.run('DELETE FROM files WHERE id = ?', id)
    rmSync(this.path(id), { force: true })
  }

  /** Removes those whose time is over, but for inputs of batches that are not finished. */
  removeExpired(): void {
    const expired = this.#db.all(
      `SELECT id FROM files WHERE expires_at <= ? AND id NOT IN (
         SELECT input_file FROM batches WHERE status NOT IN ('completed', 'failed', 'expired', 'cancelled'))`,
      this.#now(),
    )
    for (const { id } of expired) this.remove(String(id))
  }

  path(id: string): string {
    return join(this.#dir, id)
  }

  #find(id: string): StoredFile | undefined {
    const row = this.#db.get('SELECT * FROM files WHERE id = ?', id)
    return row && toFile(row)
  }
}

/** Writes one file whole or not at all. */
export class FileWriter {
  readonly #handle: FileHandle
  readonly #path: string
  readonly #describe: (bytes: number) => StoredFile
  #bytes = 0

  constructor(handle: FileHandle, path: string, describe: (bytes: number) => StoredFile) {
    this.#handle = handle
    this.#path = path
    this.#describe = describe
  }

  get bytes(): number {
    return this.#bytes
  }

  /** @throws {ServingError} STORAGE_FULL */
  async write(data: string | Uint8Array): Promise<void> {
    const buffer = typeof data === 'string' ? Buffer.from(data) : data
    try {
      // Not `write`, which may take a part.
      await this.#handle.appendFile(buffer)
    } catch (error) {
      throw diskError(error)
    }
    this.#bytes += buffer.length
  }

  /** On the disk under its name. One that is not added then is gone with the next start. */
  async seal(): Promise<StoredFile> {
    try {
      await this.#handle.sync()
      await this.#handle.close()
      renameSync(this.#path + partSuffix, this.#path)
      syncFolder(dirname(this.#path))
    } catch (error) {
      throw diskError(error)
    }
    return this.#describe(this.#bytes)
  }

  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined)
    rmSync(this.#path + partSuffix, { force: true })
  }
}

/** A new name is durable when its folder is. Not every system lets a folder be opened. */
function syncFolder(dir: string): void {
  if (process.platform === 'win32') return
  const folder = openSync(dir, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

function toFile(row: Row): StoredFile {
  return {
    id: String(row['id']),
    owner: String(row['owner']),
    filename: String(row['filename']),
    purpose: String(row['purpose']),
    bytes: Number(row['bytes']),
    createdAt: Number(row['created_at']),
    expiresAt: row['expires_at'] === null ? undefined : Number(row['expires_at']),
  }
}
