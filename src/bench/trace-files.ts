/** Reads workloads from trace files of any size: plain or gzipped, record by record, in constant memory. */
import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { StringDecoder } from 'node:string_decoder'
import { createGunzip } from 'node:zlib'

import { reasonOf, ServingError } from '../core/errors.ts'
import { createFramer } from '../workload/readers/framing.ts'
import {
  guessFormat,
  traceFormatNames,
  traceFormats,
  type TraceFormatName,
} from '../workload/readers/index.ts'
import type { ReaderOptions, TraceFault, TraceFormat } from '../workload/readers/trace-format.ts'
import { TraceCollector } from '../workload/trace-collector.ts'
import type { Slice } from '../workload/transforms/slice.ts'
import type { Workload } from '../workload/workload.ts'

export interface TraceOptions extends Partial<Omit<ReaderOptions, 'fromSeconds' | 'toSeconds'>> {
  /** Undefined: guessed from the name and the first lines. */
  readonly format?: TraceFormatName | undefined
  readonly slice?: Slice | undefined
}

export interface TraceReading {
  readonly workload: Workload
  /** Records that could not be used, and the first of them by line. */
  readonly numFaults: number
  readonly faults: readonly TraceFault[]
}

/** Bytes of the beginning by which a format is known. */
const headBytes = 8192

/**
 * The workload of a trace file. Records that are broken are counted and named; a file that ends in the middle counts
 * as one more fault.
 * @throws {ServingError} INVALID_WORKLOAD when the file cannot be opened, is of no known format, or has no request
 * that can be used.
 */
export async function readTrace(path: string, options: TraceOptions = {}): Promise<TraceReading> {
  const { slice = {}, format = await guess(path) } = options
  const definition: TraceFormat = traceFormats[format]
  const reader = definition.open(readerOptions(options))
  const collector = new TraceCollector(definition, reader, slice)
  const companion = await findCompanion(path, definition)
  if (companion !== undefined) {
    await eachRecord(companion, definition, {
      collector,
      use: (line, text) => collector.readCompanion(line, text),
    })
  }
  await eachRecord(path, definition, { collector, use: (line, text) => collector.read(line, text) })
  if (collector.isEmpty) throw nothingLeft(path, format, collector)
  const { seed, sessionsPerSecond, thinkSeconds } = readerOptions(options)
  const drawn = definition.order === 'arrival' ? {} : { seed, sessionsPerSecond, thinkSeconds }
  const workload = collector.finish(basename(path), { file: basename(path), format, ...drawn })
  return { workload, numFaults: collector.numFaults, faults: collector.faults }
}

/** A token for every four characters, as OpenAI estimates English. */
export function estimateTokens(text: string): number {
  return Math.ceil(text.length / 4)
}

function readerOptions({ slice, ...options }: TraceOptions): ReaderOptions {
  return {
    seed: options.seed ?? 0,
    sessionsPerSecond: options.sessionsPerSecond ?? 1,
    thinkSeconds: options.thinkSeconds ?? 0,
    countTokens: options.countTokens ?? estimateTokens,
    fromSeconds: slice?.fromSeconds ?? 0,
    toSeconds: slice?.toSeconds,
  }
}

async function guess(path: string): Promise<TraceFormatName> {
  const head = await headOf(path)
  const format = guessFormat(basename(path), head)
  if (format !== undefined) return format
  throw new ServingError(
    'INVALID_WORKLOAD',
    `${path}: the format cannot be told from its beginning; name one of ${traceFormatNames.join(', ')}.`,
  )
}

/** As much of the beginning as can be read. */
async function headOf(path: string): Promise<string> {
  let head = ''
  try {
    for await (const chunk of textOf(path, headBytes)) {
      head += chunk
      if (head.length >= headBytes) break
    }
  } catch (cause) {
    if (cause instanceof ServingError) throw cause
    if (head !== '') return head
    throw new ServingError('INVALID_WORKLOAD', `${path} cannot be read (${reasonOf(cause)}).`, { cause })
  }
  return head
}

/** @throws {ServingError} INVALID_WORKLOAD when the format needs a second file that is not there. */
async function findCompanion(path: string, format: TraceFormat): Promise<string | undefined> {
  if (format.companion === undefined) return undefined
  const companion = join(dirname(path), format.companion(basename(path)))
  try {
    await access(companion)
    return companion
  } catch (cause) {
    throw new ServingError('INVALID_WORKLOAD', `${path} needs ${basename(companion)} beside it.`, { cause })
  }
}

async function eachRecord(
  path: string,
  { framing }: TraceFormat,
  to: { readonly collector: TraceCollector; readonly use: (line: number, text: string | undefined) => void },
): Promise<void> {
  const framer = createFramer(framing)
  let line = 0
  const take = (records: Iterable<{ readonly line: number; readonly text: string | undefined }>): boolean => {
    for (const record of records) {
      line = record.line
      to.use(record.line, record.text)
      if (to.collector.isDone) return true
    }
    return false
  }
  try {
    for await (const chunk of textOf(path)) if (take(framer.push(chunk))) return
    take(framer.end())
  } catch (error) {
    if (error instanceof ServingError) throw error
    to.collector.addFault(line + 1, `the file cannot be read further (${reasonOf(error)})`)
  }
}

/** Decoded text in chunks. Opening the file fails with a coded error, reading on with the plain one. */
async function* textOf(path: string, highWaterMark = 1024 * 1024): AsyncGenerator<string> {
  const file = createReadStream(path, { highWaterMark })
  await new Promise<void>((resolve, reject) => {
    file.once('open', () => resolve())
    file.once('error', (cause) => reject(cannotOpen(path, cause)))
  })
  const decoder = new StringDecoder('utf8')
  const bytes = path.endsWith('.gz') ? file.pipe(createGunzip({ chunkSize: highWaterMark })) : file
  if (bytes !== file) file.on('error', (error) => bytes.destroy(error))
  try {
    for await (const chunk of bytes) yield decoder.write(chunk as Buffer)
    yield decoder.end()
  } finally {
    bytes.destroy()
    file.destroy()
  }
}

function cannotOpen(path: string, cause: unknown): ServingError {
  return new ServingError('INVALID_WORKLOAD', `${path} cannot be opened (${reasonOf(cause)}).`, { cause })
}

function nothingLeft(
  path: string,
  format: TraceFormatName,
  { numFaults, faults }: TraceCollector,
): ServingError {
  const [first] = faults
  const reason =
    first === undefined
      ? 'it is empty, or nothing of it is in the slice'
      : `${numFaults} bad records, the first on line ${first.line}: ${first.message}`
  return new ServingError(
    'INVALID_WORKLOAD',
    `${path} read as ${format} has no request that can be used: ${reason}.`,
  )
}
