/** Batches and the results of their lines, each line's once. */
import { randomUUID } from 'node:crypto'
import { invariant } from '../core/errors.ts'
import type { Row, SqliteDatabase, Value } from './database.ts'
import type { Page } from './file-store.ts'

/** OpenAI's states. The last four are final. */
export type BatchStatus =
  | 'validating'
  | 'in_progress'
  | 'finalizing'
  | 'cancelling'
  | 'completed'
  | 'failed'
  | 'expired'
  | 'cancelled'

/** When a batch entered a state, in seconds since 1970. */
export type BatchTimes = Partial<Record<BatchStatus, number>>

/** Why the input of a batch cannot be run. */
export interface BatchError {
  readonly code: string
  readonly message: string
  /** Counted from 1; null: the file as a whole. */
  readonly line: number | null
  readonly param: string | null
}

export interface Batch {
  /** Number within the database; later batches have higher ones. */
  readonly seq: number
  readonly id: string
  /** Who may see it; empty: everybody. */
  readonly owner: string
  /** Who its requests are accounted to, and with what weight. */
  readonly tenant: string
  readonly weight: number
  readonly status: BatchStatus
  readonly endpoint: string
  readonly inputFile: string
  readonly completionWindow: string
  readonly metadata: Readonly<Record<string, string>>
  readonly createdAt: number
  readonly expiresAt: number
  /** How long its output and error files stay; undefined: until somebody removes them. */
  readonly outputSeconds: number | undefined
  readonly times: BatchTimes
  readonly errors: readonly BatchError[]
  /** Lines, lines with an answer, lines with an error. */
  readonly total: number
  readonly completed: number
  readonly failed: number
  readonly outputFile: string | undefined
  readonly errorFile: string | undefined
}

export type NewBatch = Pick<
  Batch,
  | 'owner'
  | 'tenant'
  | 'weight'
  | 'endpoint'
  | 'inputFile'
  | 'completionWindow'
  | 'metadata'
  | 'createdAt'
  | 'expiresAt'
> &
  Partial<Pick<Batch, 'outputSeconds'>>

export interface LineResult {
  /** Counted from 0. */
  readonly line: number
  /** An answer rather than an error. */
  readonly ok: boolean
  /** A line of the output or error file, without its line feed. */
  readonly json: string
}

export interface BatchChange {
  readonly total?: number
  readonly errors?: readonly BatchError[]
  readonly outputFile?: string | undefined
  readonly errorFile?: string | undefined
}

const finalStatuses: readonly BatchStatus[] = ['completed', 'failed', 'expired', 'cancelled']

export const isFinal = (status: BatchStatus): boolean => finalStatuses.includes(status)

/** Results read at one time. */
const pageLength = 200

export class BatchStore {
  readonly #db: SqliteDatabase

  constructor(db: SqliteDatabase) {
    this.#db = db
  }

  create(batch: NewBatch): Batch {
    const id = `batch_${randomUUID().replaceAll('-', '')}`
    const { owner, tenant, weight, endpoint, inputFile, completionWindow, createdAt, expiresAt } = batch
    const times: BatchTimes = { validating: createdAt }
    this.#db.durably(() =>
      this.#db.run(
        `INSERT INTO batches (id, owner, tenant, weight, status, endpoint, input_file, completion_window, metadata,
           created_at, expires_at, times, output_seconds, errors, total, completed, failed)
         VALUES (?, ?, ?, ?, 'validating', ?, ?, ?, ?, ?, ?, ?, ?, '[]', 0, 0, 0)`,
        ...[id, owner, tenant, weight, endpoint, inputFile, completionWindow],
        ...[JSON.stringify(batch.metadata), createdAt, expiresAt, JSON.stringify(times)],
        batch.outputSeconds ?? null,
      ),
    )
    return this.#require(id)
  }

  find(id: string, owner: string): Batch | undefined {
    const row = this.#db.get(`SELECT * FROM batches WHERE id = ? AND (? = '' OR owner = ?)`, id, owner, owner)
    return row && toBatch(row)
  }

  /** Newest first. */
  list(owner: string, { after, limit }: Pick<Page, 'after' | 'limit'>): readonly Batch[] {
    const from = after === undefined ? undefined : this.find(after, owner)?.seq
    const rows = this.#db.all(
      `SELECT * FROM batches WHERE seq < ? AND (? = '' OR owner = ?) ORDER BY seq DESC LIMIT ?`,
      ...[from ?? Number.MAX_SAFE_INTEGER, owner, owner, limit],
    )
    return rows.map(toBatch)
  }

  /** Those that are not in a final state, oldest first. */
  unfinished(): readonly Batch[] {
    const marks = finalStatuses.map(() => '?').join(', ')
    return this.#db
      .all(`SELECT * FROM batches WHERE status NOT IN (${marks}) ORDER BY seq`, ...finalStatuses)
      .map(toBatch)
  }

  usesFile(fileId: string): boolean {
    return this.unfinished().some(({ inputFile }) => inputFile === fileId)
  }

  /** Enters a state; the results of its lines are forgotten with a final one. `now`: seconds since 1970. */
  enter(id: string, status: BatchStatus, now: number, change: BatchChange = {}): Batch {
    this.#db.durably(() => this.enterWithin(id, status, now, change))
    return this.#require(id)
  }

  /** `enter` as a part of a transaction that is open. */
  enterWithin(id: string, status: BatchStatus, now: number, change: BatchChange = {}): void {
    const batch = this.#require(id)
    const next = { ...batch, ...change }
    this.#db.run(
      'UPDATE batches SET status = ?, times = ?, errors = ?, total = ?, output_file = ?, error_file = ? WHERE id = ?',
      status,
      JSON.stringify({ ...batch.times, [status]: now }),
      JSON.stringify(next.errors),
      next.total,
      ...[next.outputFile ?? null, next.errorFile ?? null, id],
    )
    if (isFinal(status)) this.#db.run('DELETE FROM results WHERE batch = ?', batch.seq)
  }

  /** All of these or none. A line that has a result already is a broken invariant. */
  addResults({ seq }: Batch, results: readonly LineResult[]): void {
    this.#db.transaction(() => {
      for (const { line, ok, json } of results) {
        this.#db.run('INSERT INTO results VALUES (?, ?, ?, ?)', seq, line, Number(ok), json)
      }
      const numCompleted = results.filter(({ ok }) => ok).length
      const changes: Value[] = [numCompleted, results.length - numCompleted, seq]
      this.#db.run(
        'UPDATE batches SET completed = completed + ?, failed = failed + ? WHERE seq = ?',
        ...changes,
      )
    })
  }

  linesWithResult({ seq }: Batch): readonly number[] {
    return this.#db.all('SELECT line FROM results WHERE batch = ?', seq).map((row) => Number(row['line']))
  }

  /** Pages of results in the order of the lines; `ok`: answers, or errors; undefined: both. */
  *results({ seq }: Batch, ok: boolean | undefined): Generator<readonly string[]> {
    let line = -1
    while (true) {
      const rows = this.#db.all(
        'SELECT line, json FROM results WHERE batch = ? AND line > ? AND (? < 0 OR ok = ?) ORDER BY line LIMIT ?',
        ...[seq, line, ok === undefined ? -1 : 0, Number(ok ?? false), pageLength],
      )
      if (rows.length === 0) return
      line = Number(rows.at(-1)!['line'])
      yield rows.map((row) => String(row['json']))
    }
  }

  #require(id: string): Batch {
    const batch = this.find(id, '')
    invariant(batch !== undefined, `there is no batch ${id}`)
    return batch
  }
}

function toBatch(row: Row): Batch {
  const text = (name: string): string => String(row[name])
  const optionalText = (name: string): string | undefined => (row[name] === null ? undefined : text(name))
  return {
    seq: Number(row['seq']),
    id: text('id'),
    owner: text('owner'),
    tenant: text('tenant'),
    weight: Number(row['weight']),
    status: text('status') as BatchStatus,
    endpoint: text('endpoint'),
    inputFile: text('input_file'),
    completionWindow: text('completion_window'),
    metadata: JSON.parse(text('metadata')) as Batch['metadata'],
    createdAt: Number(row['created_at']),
    expiresAt: Number(row['expires_at']),
    outputSeconds: row['output_seconds'] === null ? undefined : Number(row['output_seconds']),
    times: JSON.parse(text('times')) as BatchTimes,
    errors: JSON.parse(text('errors')) as BatchError[],
    total: Number(row['total']),
    completed: Number(row['completed']),
    failed: Number(row['failed']),
    outputFile: optionalText('output_file'),
    errorFile: optionalText('error_file'),
  }
}
