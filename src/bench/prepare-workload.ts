/** From what a user asks for to the workload that is sent. */
import { ServingError } from '../core/errors.ts'
import {
  capGaps,
  factorToFit,
  fitToModel,
  scaleLengths,
  scaleRate,
  scaleToRate,
  spreadArrivals,
} from '../workload/transforms/index.ts'
import type { Slice } from '../workload/transforms/index.ts'
import type { Workload } from '../workload/workload.ts'
import { loadWorkload } from './load-workload.ts'
import type { TraceOptions } from './trace-files.ts'

export interface WorkloadRequestOptions {
  /** A trace file or a generator's call. */
  readonly source: string
  readonly format: TraceOptions['format']
  readonly seed: number
  readonly slice: Slice
  readonly sessionsPerSecond: number | undefined
  /** Gaps inside programs are at most so long. */
  readonly maxGapSeconds: number | undefined
  /** All lengths times this, shared tokens staying shared. */
  readonly scaleLengths: number | undefined
  /** Lengths are scaled down until the longest request has so many tokens. */
  readonly scaleToTokens: number | undefined
  /** Requests that are longer after all scaling are left out. */
  readonly maxTokens: number | undefined
  /** Times arrivals come as fast, or mean requests per second. */
  readonly scaleRate: number | undefined
  readonly rate: number | undefined
  /** Arrivals that a trace rounds to one instant are spread over the time until the next. */
  readonly spread: boolean
}

export interface PreparedWorkload {
  readonly workload: Workload
  /** Lines about records that could not be used. */
  readonly remarks: readonly string[]
}

const mostRemarks = 5

/** @throws {ServingError} INVALID_WORKLOAD, also when nothing is left to send. */
export async function prepareWorkload(options: WorkloadRequestOptions): Promise<PreparedWorkload> {
  const { source, format, seed, slice, sessionsPerSecond } = options
  const reading = await loadWorkload(source, {
    seed,
    slice,
    ...(format === undefined ? {} : { format }),
    ...(sessionsPerSecond === undefined ? {} : { sessionsPerSecond }),
  })
  const workload = transform(reading.workload, options)
  if (workload.requests.length === 0) {
    throw new ServingError('INVALID_WORKLOAD', `${source}: no request is left to send.`)
  }
  const shown = reading.faults.slice(0, mostRemarks)
  const remarks = shown.map(({ line, message }) => `${source}:${line}: ${message}`)
  if (reading.numFaults > shown.length) remarks.push(`${source}: ${reading.numFaults} bad records in all`)
  return { workload, remarks }
}

function transform(read: Workload, options: WorkloadRequestOptions): Workload {
  let workload = read
  if (options.spread) workload = spreadArrivals(workload, options.seed)
  if (options.maxGapSeconds !== undefined) workload = capGaps(workload, options.maxGapSeconds)
  if (options.scaleLengths !== undefined) workload = scaleLengths(workload, options.scaleLengths)
  if (options.scaleToTokens !== undefined) {
    const factor = factorToFit(workload, options.scaleToTokens)
    if (factor < 1) workload = scaleLengths(workload, factor)
  }
  if (options.maxTokens !== undefined) workload = fitToModel(workload, options.maxTokens, 'drop')
  if (options.scaleRate !== undefined) workload = scaleRate(workload, options.scaleRate)
  if (options.rate !== undefined) workload = scaleToRate(workload, options.rate)
  return workload
}
