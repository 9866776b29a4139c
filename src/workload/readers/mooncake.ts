/**
 * Mooncake's JSON lines (FAST '25): arrival in ms, lengths in tokens, and one id for each block of 512 tokens of the
 * prompt. Our own recordings are a superset; `session_id` and `delay` mean what AIPerf means by them.
 */
import { millisToMicros, micros } from '../../core/units.ts'
import { ContentIds } from '../content.ts'
import type { ContentId, ServiceClass, WorkloadRequest } from '../workload.ts'
import { amount, lengths, parseObject, shown } from './fields.ts'
import { placeTurn, Sessions } from './programs.ts'
import { fault, nothing, type ReadResult, type RecordReader, type TraceFormat } from './trace-format.ts'

export const mooncake: TraceFormat = {
  about: 'Mooncake JSON lines: arrivals, lengths, ids of 512-token blocks.',
  framing: 'lines',
  order: 'arrival',
  matches: (_, head) => head.includes('"input_length"') && !head.includes('"block_size"'),
  open: () => new MooncakeReader(),
}

export const recording: TraceFormat = {
  ...mooncake,
  about: 'What "serve --record" writes: Mooncake JSON lines with tenants, turns, gaps and classes.',
  matches: (_, head) => head.includes('"input_length"') && head.includes('"block_size"'),
}

export const mooncakeBlockSize = 512
const serviceClasses: readonly unknown[] = ['priority', 'default', 'flex', 'batch'] satisfies ServiceClass[]

class MooncakeReader implements RecordReader {
  readonly #fresh = new ContentIds()
  readonly #sessions = new Sessions()
  #blockSize: number | undefined

  get blockSize(): number {
    return this.#blockSize ?? mooncakeBlockSize
  }

  read(record: string): ReadResult {
    if (record.trim() === '') return nothing
    const row = parseObject(record)
    if (typeof row === 'string') return fault(row)
    const request = this.#request(row)
    return typeof request === 'string' ? fault(request) : { requests: [request] }
  }

  #request(row: Readonly<Record<string, unknown>>): WorkloadRequest | string {
    const at = amount(row.timestamp ?? 0)
    if (at === undefined) return `${shown(row.timestamp)} is no timestamp in ms`
    const length = lengths(row.input_length, row.output_length)
    if (typeof length === 'string') return length
    const blocks = this.#blocks(row, length.numPromptTokens)
    if (typeof blocks === 'string') return blocks
    return this.#place(row, at, {
      tenant: text(row.tenant) ?? 'default',
      ...length,
      blocks,
      serviceClass: serviceClass(row.service_class),
    })
  }

  #blocks(row: Readonly<Record<string, unknown>>, numTokens: number): ContentId[] | string {
    const blockSize = amount(row.block_size ?? mooncakeBlockSize)
    if (blockSize === undefined || !Number.isInteger(blockSize) || blockSize < 1) {
      return `${shown(row.block_size)} is no block size`
    }
    if (blockSize !== (this.#blockSize ?? blockSize)) {
      return `blocks of ${blockSize} tokens, where those before had ${this.#blockSize}`
    }
    const ids = row.hash_ids ?? []
    if (!Array.isArray(ids)) return `${shown(ids)} are no block ids`
    const numBlocks = Math.ceil(numTokens / blockSize)
    if (ids.length > numBlocks) return `${ids.length} block ids for ${numTokens} tokens`
    const blocks = ids.map(contentId)
    if (blocks.includes(undefined)) return 'a block id that is neither number nor text'
    this.#blockSize = blockSize
    return [...(blocks as ContentId[]), ...this.#fresh.take(numBlocks - blocks.length)]
  }

  #place(
    row: Readonly<Record<string, unknown>>,
    at: number,
    shape: Pick<
      WorkloadRequest,
      'tenant' | 'numPromptTokens' | 'numOutputTokens' | 'blocks' | 'serviceClass'
    >,
  ): WorkloadRequest | string {
    const name = text(row.session_id)
    const arrival = millisToMicros(at)
    const alone = { arrival, program: undefined, turn: 0, gap: micros(0), gapKind: undefined }
    if (name === undefined) return { ...alone, ...shape }
    const delay = amount(row.delay ?? 0)
    if (delay === undefined) return `${shown(row.delay)} is no delay in ms`
    const session = this.#sessions.get(name)
    const place = placeTurn(session.last, arrival, millisToMicros(delay))
    const { last } = session
    const includesAnswer = last !== undefined && row.includes_answer === true && isLonger(shape, last)
    const request: WorkloadRequest = {
      ...shape,
      program: session.program,
      ...place,
      gapKind: last === undefined ? undefined : row.gap_kind === 'tool' ? 'tool' : 'think',
      // The last block of the prompt before was short and had another hash; now more follows in it.
      ...(includesAnswer ? { includesAnswer, blocks: startingWith(last.blocks, shape.blocks) } : {}),
    }
    this.#sessions.remember(name, session, request, at)
    return request
  }
}

function isLonger(
  { numPromptTokens }: Pick<WorkloadRequest, 'numPromptTokens'>,
  last: WorkloadRequest,
): boolean {
  return numPromptTokens > last.numPromptTokens + last.numOutputTokens
}

function startingWith(first: readonly ContentId[], blocks: readonly ContentId[]): readonly ContentId[] {
  return [...first, ...blocks.slice(first.length)]
}

function serviceClass(value: unknown): ServiceClass {
  return serviceClasses.includes(value) ? (value as ServiceClass) : 'default'
}

/** A number that fits is itself; 53 bits of a hash stand for anything else, such as digests in hexadecimal. */
function contentId(value: unknown): ContentId | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : hash53(String(value))
  return typeof value === 'string' ? hash53(value) : undefined
}

/** FNV-1a (Fowler, Noll, Vo) in two 32-bit lanes with different offsets. */
function hash53(value: string): number {
  let one = 0x811c9dc5
  let other = 0x050c5d1f
  for (let index = 0; index < value.length; index += 1) {
    const code = value.charCodeAt(index)
    one = Math.imul(one ^ code, 0x01000193)
    other = Math.imul(other ^ code, 0x01000193) ^ (other >>> 15)
  }
  return ((one >>> 0) & 0x1fffff) * 4_294_967_296 + (other >>> 0)
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
}
