/** Workloads as Mooncake JSON lines: the four fields of the format, and ours beside them (`readers/mooncake.ts`). */
import { mooncakeBlockSize } from './readers/mooncake.ts'
import type { ServiceClass, Workload, WorkloadRequest } from './workload.ts'

/** A row of the file. `timestamp` and `delay` in ms; fields beyond `hash_ids` are left out where they say nothing. */
export interface MooncakeRow {
  readonly timestamp: number
  readonly input_length: number
  readonly output_length: number
  readonly hash_ids: readonly (number | string)[]
  readonly block_size?: number
  readonly tenant?: string
  readonly session_id?: string
  readonly delay?: number
  readonly gap_kind?: 'tool' | 'think'
  readonly includes_answer?: boolean
  readonly service_class?: ServiceClass
}

/**
 * One line a request, in order. Mooncake's ids stand for a block and all before it, so blocks are numbered anew by
 * their place in the tree of prompts. Which turn a sub-agent comes after is lost; its arrival stays.
 */
export function* mooncakeLines(workload: Workload): Generator<string> {
  const numbers = new Map<string, number>()
  for (const request of workload.requests) {
    let parent = -1
    const hashIds = request.blocks.map((id) => {
      const key = `${parent} ${id}`
      const known = numbers.get(key) ?? numbers.size
      numbers.set(key, known)
      parent = known
      return known
    })
    yield mooncakeLine(rowOf(request, hashIds, workload.blockSize))
  }
}

/** Ends with a line end. */
export function mooncakeLine(row: MooncakeRow): string {
  return `${JSON.stringify(row)}\n`
}

function rowOf(request: WorkloadRequest, hashIds: readonly number[], blockSize: number): MooncakeRow {
  const { tenant, program, turn, gap, gapKind, includesAnswer, serviceClass } = request
  return {
    timestamp: request.arrival / 1000,
    input_length: request.numPromptTokens,
    output_length: request.numOutputTokens,
    hash_ids: hashIds,
    ...(blockSize === mooncakeBlockSize ? {} : { block_size: blockSize }),
    ...(tenant === 'default' ? {} : { tenant }),
    ...(program === undefined ? {} : { session_id: program }),
    ...(turn === 0 ? {} : { delay: gap / 1000 }),
    ...(gapKind === undefined ? {} : { gap_kind: gapKind }),
    ...(includesAnswer === true ? { includes_answer: true } : {}),
    ...(serviceClass === 'default' ? {} : { service_class: serviceClass }),
  }
}
