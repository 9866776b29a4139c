/** A batch under way: which of its lines are still to run, and results on their way to the store. */
import { setMaxListeners } from 'node:events'
import { invariant } from '../core/errors.ts'
import type { Batch, BatchStore, LineResult } from '../storage/batch-store.ts'
import { LineFile } from './line-reader.ts'
import type { PreparedBatch } from './prepare-batch.ts'

export class RunningBatch {
  readonly batch: Batch
  /** Aborted when its lines are no longer wanted. */
  readonly abort = new AbortController()
  numInFlight = 0
  readonly #store: BatchStore
  readonly #file: LineFile
  readonly #prepared: PreparedBatch
  readonly #hasResult: Uint8Array
  readonly #again: number[] = []
  #pending: LineResult[] = []
  #next = 0
  #lastRead: Promise<unknown> = Promise.resolve()
  #numWithResult: number

  private constructor(batch: Batch, store: BatchStore, file: LineFile, prepared: PreparedBatch) {
    this.batch = batch
    // Each line in flight listens.
    setMaxListeners(0, this.abort.signal)
    this.#store = store
    this.#file = file
    this.#prepared = prepared
    this.#hasResult = new Uint8Array(prepared.places.length)
    const done = store.linesWithResult(batch)
    for (const line of done) this.#hasResult[line] = 1
    this.#numWithResult = done.length
  }

  /** Lines that have a result in the store do not run again. */
  static async open(
    batch: Batch,
    store: BatchStore,
    path: string,
    prepared: PreparedBatch,
  ): Promise<RunningBatch> {
    return new RunningBatch(batch, store, await LineFile.open(path), prepared)
  }

  /** Each line has a result, and the store has it. */
  get isComplete(): boolean {
    return this.#numWithResult === this.#hasResult.length && this.#pending.length === 0
  }

  get numPending(): number {
    return this.#pending.length
  }

  /** The next line to run; undefined when all others are under way or done. */
  take(): number | undefined {
    const again = this.#again.shift()
    if (again !== undefined) return again
    const { order } = this.#prepared
    while (this.#next < order.length) {
      const line = order[this.#next++]!
      if (this.#hasResult[line] === 0) return line
    }
    return undefined
  }

  /** Runs once more, before those that have not run yet. */
  putBack(line: number): void {
    this.#again.push(line)
  }

  /** One after the other, so that lines go out in the order in which they were taken. */
  read(line: number): Promise<string> {
    const text = this.#lastRead.then(() => this.#file.read(this.#prepared.places[line]!))
    this.#lastRead = text.catch(() => undefined)
    return text
  }

  record(result: LineResult): void {
    invariant(this.#hasResult[result.line] === 0, `line ${result.line} of ${this.batch.id} has two results`)
    this.#hasResult[result.line] = 1
    this.#numWithResult++
    this.#pending.push(result)
  }

  /** Gives the store what was recorded. When that fails it is kept. */
  flush(): void {
    if (this.#pending.length === 0) return
    this.#store.addResults(this.batch, this.#pending)
    this.#pending = []
  }

  /** In the order of the file. */
  *linesWithoutResult(): Generator<number> {
    for (const [line, has] of this.#hasResult.entries()) if (has === 0) yield line
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}
