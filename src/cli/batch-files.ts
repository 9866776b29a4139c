/** The files of `batch run`: its input on the way into the store, and the results on the way out. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { readLines } from '../batches/line-reader.ts'
import { batchEndpoints } from '../api/schemas/batches.ts'
import { reasonOf, ServingError } from '../core/errors.ts'
import type { Batch } from '../storage/batch-store.ts'
import type { StoredFile } from '../storage/file-store.ts'
import type { Store } from '../storage/store.ts'

const longestLine = 1 << 28

/** What the first line asks for. @throws {ServingError} INVALID_REQUEST when that cannot be told. */
export async function endpointOf(path: string): Promise<string> {
  try {
    for await (const { text } of readLines(path, longestLine)) {
      const { url } = (JSON.parse(text ?? 'null') ?? {}) as { url?: unknown }
      const endpoint = batchEndpoints.find((each) => each === url)
      if (endpoint !== undefined) return endpoint
      const message = `${path}: the first line needs a "url" that is one of ${batchEndpoints.join(', ')}.`
      throw new ServingError('INVALID_REQUEST', message)
    }
  } catch (cause) {
    if (cause instanceof ServingError) throw cause
    const reason =
      cause instanceof SyntaxError ? 'its first line is not JSON' : `cannot be read (${reasonOf(cause)})`
    throw new ServingError('INVALID_REQUEST', `${path}: ${reason}.`, { cause })
  }
  throw new ServingError('INVALID_REQUEST', `${path} has no lines.`)
}

/** SHA-256 of a file. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer)
  return hash.digest('hex')
}

/** A copy of its own: the input may be edited meanwhile. */
export async function importFile(store: Store, path: string): Promise<StoredFile> {
  const writer = await store.files.create({ owner: '', filename: path, purpose: 'batch' })
  for await (const piece of createReadStream(path)) await writer.write(piece as Buffer)
  const file = await writer.seal()
  store.files.add(file)
  return file
}

/** All results in the order of the input, answers and errors; the file is there whole or not at all. */
export async function mergeResults(store: Store, batch: Batch, path: string): Promise<void> {
  const sources = [batch.outputFile, batch.errorFile]
    .filter((id) => id !== undefined)
    .map((id) => readLines(store.files.path(id), longestLine))
  const heads = await Promise.all(sources.map((source) => source.next()))
  const handle = await open(`${path}.part`, 'w')
  try {
    for await (const { text } of readLines(store.files.path(batch.inputFile), longestLine)) {
      const id = idOf(text)
      const at = heads.findIndex(({ value, done }) => done !== true && idOf(value.text) === id)
      const head = heads[at]
      if (head === undefined || head.done === true) continue
      await handle.appendFile(`${head.value.text}\n`)
      heads[at] = await sources[at]!.next()
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(`${path}.part`, path)
}

const idOf = (text: string | undefined): unknown =>
  (JSON.parse(text ?? '{}') as { custom_id?: unknown }).custom_id
