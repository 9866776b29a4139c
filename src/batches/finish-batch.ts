import type { Batch } from '../storage/batch-store.ts'
import type { FileWriter, StoredFile } from '../storage/file-store.ts'
import type { Store } from '../storage/store.ts'
import { parseLine } from './batch-line.ts'
import { missingResult } from './result-line.ts'
import type { RunningBatch } from './running-batch.ts'

export type BatchEnd = 'completed' | 'cancelled' | 'expired'

const missing = {
  cancelled: ['batch_cancelled', 'The batch was cancelled before this request had an answer.'],
  expired: ['batch_expired', 'The batch expired before this request had an answer.'],
} as const

/** Results recorded before the store gets them. */
const groupLength = 500

/** Lines that will not run any more get an error, so that each line has one result. */
export async function recordMissing(running: RunningBatch, end: BatchEnd): Promise<void> {
  if (end === 'completed') return
  const [code, message] = missing[end]
  for (const line of running.linesWithoutResult()) {
    const parsed = parseLine(await running.read(line), running.batch.endpoint)
    const customId = 'customId' in parsed ? parsed.customId : ''
    running.record(missingResult(line, customId, code, message))
    if (running.numPending >= groupLength) running.flush()
  }
  running.flush()
}

/**
 * Writes the output and the error file, each only if it has lines, in the order of the input. Files and state change
 * together: a process that ends before does it all again.
 */
export async function finishBatch(
  store: Store,
  batch: Batch,
  end: BatchEnd,
  now: () => number,
): Promise<Batch> {
  if (end === 'completed') store.batches.enter(batch.id, 'finalizing', now())
  const output = await writeResults(store, batch, true)
  const errors = await writeResults(store, batch, false)
  const [outputFile, errorFile] = [await sealed(output, batch), await sealed(errors, batch)]
  return store.durably(() => {
    for (const file of [outputFile, errorFile]) if (file !== undefined) store.files.addWithin(file)
    store.batches.enterWithin(batch.id, end, now(), { outputFile: outputFile?.id, errorFile: errorFile?.id })
    return store.batches.find(batch.id, '')!
  })
}

async function sealed(
  writer: FileWriter | undefined,
  { outputSeconds }: Batch,
): Promise<StoredFile | undefined> {
  const file = await writer?.seal()
  if (file === undefined || outputSeconds === undefined) return file
  return { ...file, expiresAt: file.createdAt + outputSeconds }
}

async function writeResults(store: Store, batch: Batch, ok: boolean): Promise<FileWriter | undefined> {
  let writer: FileWriter | undefined
  try {
    for (const lines of store.batches.results(batch, ok)) {
      const filename = `${batch.id}_${ok ? 'output' : 'error'}.jsonl`
      writer ??= await store.files.create({ owner: batch.owner, filename, purpose: 'batch_output' })
      await writer.write(`${lines.join('\n')}\n`)
    }
    return writer
  } catch (error) {
    await writer?.discard()
    throw error
  }
}
