/** Gathers what a reader gives: keeps the slice, counts what was bad, and makes the workload in the end. */
import { micros } from '../core/units.ts'
import {
  nothing,
  type ReadResult,
  type RecordReader,
  type TraceFault,
  type TraceFormat,
} from './readers/trace-format.ts'
import { byArrival } from './transforms/derive.ts'
import { describeSlice, rebase, SliceFilter, type Slice } from './transforms/slice.ts'
import type { Provenance, Workload, WorkloadRequest } from './workload.ts'

/** Faults that are kept word for word; the others are counted. */
const maxFaultsShown = 20

export class TraceCollector {
  readonly #format: TraceFormat
  readonly #reader: RecordReader
  readonly #slice: Slice
  readonly #filter: SliceFilter
  readonly #requests: WorkloadRequest[] = []
  readonly faults: TraceFault[] = []
  numFaults = 0

  constructor(format: TraceFormat, reader: RecordReader, slice: Slice) {
    this.#format = format
    this.#reader = reader
    this.#slice = slice
    // Without any order in the file, who is first is known at the end only.
    this.#filter = new SliceFilter(format.order === 'none' ? { ...slice, maxRequests: undefined } : slice)
  }

  get isEmpty(): boolean {
    return this.#requests.length === 0
  }

  /** Nothing that follows can be part of the slice. */
  get isDone(): boolean {
    const { isFull, isPastEnd, hasAllPrograms } = this.#filter
    if (isFull) return true
    return this.#format.order === 'arrival' ? isPastEnd : this.#format.order === 'programs' && hasAllPrograms
  }

  /** `text` undefined: a record too long to be read. */
  read(line: number, text: string | undefined): void {
    const { requests, fault } = text === undefined ? tooLong : this.#reader.read(text)
    if (fault !== undefined) this.addFault(line, fault)
    for (const request of requests) if (this.#filter.accepts(request)) this.#requests.push(request)
  }

  readCompanion(line: number, text: string | undefined): void {
    const fault = text === undefined ? tooLong.fault : this.#reader.readCompanion?.(text)
    if (fault !== undefined) this.addFault(line, fault)
  }

  addFault(line: number, message: string): void {
    this.numFaults += 1
    if (this.faults.length < maxFaultsShown) this.faults.push({ line, message })
  }

  /** In order of arrival, counted from the start of the slice. */
  finish(name: string, read: Provenance['parameters']): Workload {
    const { fromSeconds = 0, maxRequests } = this.#slice
    const sorted = rebase(byArrival(this.#requests), fromSeconds)
    const first = sorted[0]?.arrival ?? 0
    // A trace that is not in order may have rows before its first one.
    const requests = first < 0 ? sorted.map((request) => shifted(request, -first)) : sorted
    const provenance: Provenance[] = [{ action: 'read', parameters: { ...read, numFaults: this.numFaults } }]
    const parameters = describeSlice(this.#slice)
    if (Object.keys(parameters).length > 0) provenance.push({ action: 'slice', parameters })
    return { name, blockSize: this.#reader.blockSize, requests: requests.slice(0, maxRequests), provenance }
  }
}

function shifted(request: WorkloadRequest, by: number): WorkloadRequest {
  return { ...request, arrival: micros(request.arrival + by) }
}

const tooLong: ReadResult & { readonly fault: string } = { ...nothing, fault: 'too long to be a record' }
