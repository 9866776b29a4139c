import { readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeKeptIndex, encodeKeptIndex, type KeptIndex } from './kept-index.ts'
import { lockStore, type StoreLock } from './store-lock.ts'

/** The index is written this long after a change at the earliest, and for no more than a tenth of the time. */
const leastDelayMillis = 500
const mostShare = 1 / 10

/** The blocks and the index of one model with its settings, which outlive the process. */
export class KeptStore {
  readonly blocksPath: string
  readonly #indexPath: string
  readonly #identity: Uint8Array
  readonly #lock: StoreLock
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()
  #millis = 0

  private constructor(path: string, identity: Uint8Array, lock: StoreLock) {
    this.blocksPath = `${path}.blocks`
    this.#indexPath = `${path}.index`
    this.#identity = identity
    this.#lock = lock
  }

  /** `identity`: 32 bytes of all that the content depends on. Undefined while another process has this store open. */
  static async open(dir: string, identity: Uint8Array): Promise<KeptStore | undefined> {
    const path = join(dir, `switchyard-kv-${Buffer.from(identity).toString('hex').slice(0, 32)}`)
    const lock = await lockStore(`${path}.lock`)
    return lock && new KeptStore(path, identity, lock)
  }

  /** What the last process left; undefined when that is nothing, or nothing to rely on. */
  async readIndex(): Promise<KeptIndex | undefined> {
    const bytes = await readFile(this.#indexPath).catch(() => undefined)
    return bytes && decodeKeptIndex(this.#identity, bytes)
  }

  /** Something changed: the index is written some time later. */
  noteChange(index: () => KeptIndex): void {
    const delay = Math.max(leastDelayMillis, this.#millis / mostShare)
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#writing = this.#writing.then(() => this.#write(index())).catch(() => undefined)
    }, delay).unref()
  }

  /** Writes the index for the last time, or, without one, removes the store. */
  async close(index: KeptIndex | undefined): Promise<void> {
    clearTimeout(this.#timer)
    await this.#writing
    if (index !== undefined) await this.#write(index).catch(() => undefined)
    else for (const path of [this.#indexPath, this.blocksPath]) await unlink(path).catch(() => undefined)
    await this.#lock.release()
  }

  async #write(index: KeptIndex): Promise<void> {
    const startedAt = performance.now()
    const newPath = `${this.#indexPath}.new`
    await writeFile(newPath, encodeKeptIndex(this.#identity, index), { mode: 0o600 })
    await rename(newPath, this.#indexPath)
    this.#millis = performance.now() - startedAt
  }
}
