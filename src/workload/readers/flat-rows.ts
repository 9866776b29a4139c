/** CSV traces whose rows are single requests without known content: each prompt is new. */
import { micros } from '../../core/units.ts'
import { ContentIds } from '../content.ts'
import type { WorkloadRequest } from '../workload.ts'
import { CsvRows, type Row } from './fields.ts'
import { fault, nothing, type ReadResult, type RecordReader } from './trace-format.ts'

export interface FlatRow {
  /** On the trace's own clock; the first row's is 0 of the run where `rebase` says so. */
  readonly micros: number
  readonly tenant: string
  readonly numPromptTokens: number
  readonly numOutputTokens: number
}

/** Blocks mean nothing where no content is known; large ones are few. */
const flatBlockSize = 512

export class FlatReader implements RecordReader {
  readonly blockSize: number = flatBlockSize
  readonly #rows: CsvRows
  readonly #parse: (row: Row) => FlatRow | string
  readonly #rebase: boolean
  readonly #ids = new ContentIds()
  #origin: number | undefined

  constructor(
    columns: readonly string[],
    options: { readonly rebase: boolean; readonly parse: (row: Row) => FlatRow | string },
  ) {
    this.#rows = new CsvRows(columns)
    this.#parse = options.parse
    this.#rebase = options.rebase
  }

  read(record: string): ReadResult {
    const row = this.#rows.read(record)
    if (row === undefined) return nothing
    const flat = typeof row === 'string' ? row : this.#parse(row)
    if (typeof flat === 'string') return fault(flat)
    this.#origin ??= this.#rebase ? flat.micros : 0
    return { requests: [this.#request(flat, this.#origin)] }
  }

  #request(row: FlatRow, origin: number): WorkloadRequest {
    return {
      arrival: micros(row.micros - origin),
      tenant: row.tenant,
      program: undefined,
      turn: 0,
      gap: micros(0),
      gapKind: undefined,
      numPromptTokens: row.numPromptTokens,
      numOutputTokens: row.numOutputTokens,
      blocks: this.#ids.take(Math.ceil(row.numPromptTokens / flatBlockSize)),
      serviceClass: 'default',
    }
  }
}
