/** What a trace reader is: records of text in, requests or named faults out. It opens no files. */
import type { WorkloadRequest } from '../workload.ts'

/** A record that could not be used. */
export interface TraceFault {
  /** Counted from 1, of the uncompressed file. */
  readonly line: number
  readonly message: string
}

export interface ReaderOptions {
  /** For what a trace does not have and is drawn: session starts, arrivals of clients. */
  readonly seed: number
  /** Traces of sessions without a common clock: how many start per second, at Poisson times. */
  readonly sessionsPerSecond: number
  /** Traces with text: its length in tokens. */
  readonly countTokens: (text: string) => number
  /** Conversations without times: mean of the exponential pauses in which a person reads and types. */
  readonly thinkSeconds: number
  /** Window of a statistical trace from which requests are drawn. */
  readonly fromSeconds: number
  readonly toSeconds: number | undefined
}

/** Reads the records of one file, in order. */
export interface RecordReader {
  /** Valid after the first request. */
  readonly blockSize: number
  /** Requests of this record; `fault` says why it, or a part of it, is missing. */
  read(record: string): ReadResult
  /** Takes a record of the file that belongs to this one. */
  readCompanion?(record: string): string | undefined
}

export interface ReadResult {
  readonly requests: readonly WorkloadRequest[]
  readonly fault?: string
}

export interface TraceFormat {
  readonly about: string
  /** One record a line, or one for each object of a JSON array (or of several in a row). */
  readonly framing: 'lines' | 'objects'
  /**
   * How requests follow one another in a file: by arrival, program behind program, or not at all. The first can be
   * cut by time, the first two by count, before the file is read to its end.
   */
  readonly order: 'arrival' | 'programs' | 'none'
  /** Whether a file with this name and beginning is of this format. */
  matches(fileName: string, head: string): boolean
  open(options: ReaderOptions): RecordReader
  /** Name of a second file, in the same folder, that is read before this one. */
  companion?(fileName: string): string
}

export const nothing: ReadResult = { requests: [] }

export function fault(message: string): ReadResult {
  return { requests: [], fault: message }
}
