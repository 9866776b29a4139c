/** Choosing a part of a workload, while it is read or afterwards. */
import { micros } from '../../core/units.ts'
import type { Workload, WorkloadRequest } from '../workload.ts'
import { derive } from './derive.ts'

/**
 * What to keep; absent fields keep everything. A program's first turn decides for all its turns and its sub-agents.
 */
export interface Slice {
  readonly fromSeconds?: number | undefined
  /** Exclusive. */
  readonly toSeconds?: number | undefined
  /** Most requests. A program may be cut short by it. */
  readonly maxRequests?: number | undefined
  /** Most programs; their sub-agents do not count. */
  readonly maxPrograms?: number | undefined
  readonly tenants?: readonly string[] | undefined
  readonly programs?: readonly string[] | undefined
}

/** Decides request by request; remembers the programs that it keeps, and nothing else. */
export class SliceFilter {
  readonly #slice: Slice
  readonly #kept = new Set<string>()
  #numKept = 0
  #numPrograms = 0
  #isPastEnd = false

  constructor(slice: Slice) {
    this.#slice = slice
  }

  /** Of one program, earlier turns must be asked before later ones. */
  accepts(request: WorkloadRequest): boolean {
    if (this.isFull || !this.#isWanted(request)) return false
    const { program, turn, after } = request
    if (program !== undefined) {
      this.#kept.add(program)
      if (turn === 0 && after === undefined) this.#numPrograms += 1
    }
    this.#numKept += 1
    return true
  }

  /** No further request can be kept. */
  get isFull(): boolean {
    return this.#numKept >= (this.#slice.maxRequests ?? Infinity)
  }

  /** No further program can be kept; turns of those that are may follow. */
  get hasAllPrograms(): boolean {
    return this.#numPrograms >= (this.#slice.maxPrograms ?? Infinity)
  }

  /** A program or single request that starts behind the slice has been seen. */
  get isPastEnd(): boolean {
    return this.#isPastEnd
  }

  #isWanted({ arrival, tenant, program, turn, after }: WorkloadRequest): boolean {
    const { fromSeconds = 0, toSeconds = Infinity, tenants, programs, maxPrograms = Infinity } = this.#slice
    if (turn > 0) return this.#kept.has(program ?? '')
    if (after !== undefined) return this.#kept.has(after.program)
    if (tenants !== undefined && !tenants.includes(tenant)) return false
    if (programs !== undefined && !programs.includes(program ?? '')) return false
    const seconds = arrival / 1_000_000
    if (seconds >= toSeconds) this.#isPastEnd = true
    if (program !== undefined && this.#numPrograms >= maxPrograms) return false
    return seconds >= fromSeconds && seconds < toSeconds
  }
}

/** The part of the workload, with arrivals counted from the start of the slice. */
export function sliceWorkload(workload: Workload, slice: Slice): Workload {
  const filter = new SliceFilter(slice)
  const requests = workload.requests.filter((request) => filter.accepts(request))
  return derive(workload, 'slice', describeSlice(slice), rebase(requests, slice.fromSeconds ?? 0))
}

/** Arrivals counted from `seconds`. */
export function rebase(requests: readonly WorkloadRequest[], seconds: number): readonly WorkloadRequest[] {
  if (seconds === 0) return requests
  return requests.map((request) => ({ ...request, arrival: micros(request.arrival - seconds * 1_000_000) }))
}

/** As provenance has it: what is set, lists with commas. */
export function describeSlice(slice: Slice): Record<string, string | number> {
  const entries = Object.entries(slice).filter((entry) => entry[1] !== undefined)
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Array.isArray(value) ? value.join(',') : value]),
  )
}
