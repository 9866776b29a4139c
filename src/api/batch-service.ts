/**
 * The store of files and batches and the worker behind it. Opened at the start where there is a data folder, so that
 * batches go on; elsewhere with the first file, in a temporary one.
 */
import { BatchWorker } from '../batches/batch-worker.ts'
import type { Dispatch, ServerLoad } from '../batches/dispatch.ts'
import { openStore, openTemporaryStore, wallClock, type Store } from '../storage/store.ts'
import type { FilesConfig } from './context.ts'

export interface BatchServiceOptions {
  readonly config: FilesConfig
  readonly maxLineBytes: number
  readonly dispatch: Dispatch
  readonly load: () => ServerLoad
  readonly warn: (message: string, error?: unknown) => void
}

const sweepMillis = 60_000

interface Opened {
  readonly store: Store
  readonly worker: BatchWorker
}

export class BatchService {
  readonly #options: BatchServiceOptions
  #opened: Promise<Opened> | undefined
  #isClosed = false
  #sweeping: NodeJS.Timeout | undefined

  constructor(options: BatchServiceOptions) {
    this.#options = options
  }

  get config(): FilesConfig {
    return this.#options.config
  }

  /** Goes on with what an earlier process left. @throws {ServingError} INVALID_CONFIG when the folder cannot be had. */
  async resume(): Promise<void> {
    if (this.config.dataDir === undefined) return
    const { worker } = await this.open()
    worker.wake()
  }

  open(): Promise<Opened> {
    return (this.#opened ??= this.#open())
  }

  /** Nothing runs any more; the store stays open. */
  async stop(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined)
    await opened?.worker.stop()
  }

  async close(): Promise<void> {
    await this.stop()
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#sweeping)
    const opened = await this.#opened?.catch(() => undefined)
    await opened?.store.close()
  }

  async #open(): Promise<Opened> {
    const { config, maxLineBytes, dispatch, load, warn } = this.#options
    const store = await (config.dataDir === undefined ? openTemporaryStore() : openStore(config.dataDir))
    if (config.dataDir === undefined) {
      warn(
        'Files and batches are kept until the server ends: --data-dir names a folder that keeps them longer.',
      )
    }
    const worker = new BatchWorker({
      store,
      dispatch,
      load,
      limits: { maxLines: config.maxBatchLines, maxLineBytes },
      mostInFlight: config.maxBatchInFlight,
      now: wallClock,
      onTrouble: (error) => warn('A batch waits.', error),
    })
    this.#sweeping = setInterval(() => this.#sweep(store), sweepMillis).unref()
    return { store, worker }
  }

  #sweep(store: Store): void {
    try {
      store.files.removeExpired()
    } catch (error) {
      this.#options.warn('Files whose time is over could not be removed.', error)
    }
  }
}
