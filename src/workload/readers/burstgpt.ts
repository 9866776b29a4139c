/**
 * BurstGPT's CSV (Wang et al., KDD 2025; github.com/HPMLL/BurstGPT): columns Timestamp (s), Session ID, Elapsed time
 * (s), Model, Request tokens, Response tokens, Total tokens, Log Type. Older releases lack the second and the third.
 */
import { micros } from '../../core/units.ts'
import { ContentIds, ContentStream } from '../content.ts'
import type { WorkloadRequest } from '../workload.ts'
import { amount, CsvRows, lengths, type Row } from './fields.ts'
import { placeTurn, Sessions } from './programs.ts'
import { fault, nothing, type ReadResult, type RecordReader, type TraceFormat } from './trace-format.ts'

const columns = ['Timestamp', 'Model', 'Request tokens', 'Response tokens', 'Log Type']
const blockSize = 64

export const burstgpt: TraceFormat = {
  about: 'BurstGPT CSV: arrivals, lengths, models; sessions where the file has them.',
  framing: 'lines',
  order: 'arrival',
  matches: (_, head) => head.includes('Timestamp,') && head.includes('Request tokens'),
  open: () => new BurstGptReader(),
}

/**
 * The tenant is the kind of log and the model: the trace names no users. A turn of a session is taken to include the
 * one before when it is long enough to, since a conversation is sent whole; the trace does not say so itself.
 */
class BurstGptReader implements RecordReader {
  readonly blockSize: number = blockSize
  readonly #rows = new CsvRows(columns)
  readonly #sessions = new Sessions()
  readonly #ids = new ContentIds()
  #origin: number | undefined

  read(record: string): ReadResult {
    const row = this.#rows.read(record)
    if (row === undefined) return nothing
    const request = typeof row === 'string' ? row : this.#request(row)
    return typeof request === 'string' ? fault(request) : { requests: [request] }
  }

  #request(row: Row): WorkloadRequest | string {
    const seconds = amount(row.get('Timestamp'))
    if (seconds === undefined) return `"${row.get('Timestamp')}" is no timestamp in seconds`
    if (amount(row.get('Response tokens')) === 0) return 'a request that failed: no response tokens'
    const length = lengths(row.get('Request tokens'), row.get('Response tokens'))
    if (typeof length === 'string') return length
    this.#origin ??= seconds
    const tenant = `${row.get('Log Type') === 'API log' ? 'api' : 'conversation'}-${row.get('Model')}`
    const shape = { tenant, gapKind: undefined, ...length, serviceClass: 'default' } as const
    const arrival = micros((seconds - this.#origin) * 1_000_000)
    const name = row.get('Session ID') ?? ''
    if (name !== '')
      return this.#turn(name, { arrival, seconds, elapsed: amount(row.get('Elapsed time')) ?? 0 }, shape)
    const blocks = new ContentStream(this.#ids, blockSize).first(length.numPromptTokens)
    return { ...shape, arrival, program: undefined, turn: 0, gap: micros(0), blocks }
  }

  #turn(
    name: string,
    time: {
      readonly arrival: WorkloadRequest['arrival']
      readonly seconds: number
      readonly elapsed: number
    },
    shape: Omit<WorkloadRequest, 'arrival' | 'program' | 'turn' | 'gap' | 'blocks'>,
  ): WorkloadRequest {
    const session = this.#sessions.get(name)
    const { last } = session
    const isLonger = last !== undefined && shape.numPromptTokens > last.numPromptTokens + last.numOutputTokens
    const stream = new ContentStream(this.#ids, blockSize, isLonger ? last.blocks : [])
    const request: WorkloadRequest = {
      ...shape,
      program: session.program,
      ...placeTurn(last, time.arrival, (time.seconds - session.endedAt) * 1_000_000),
      gapKind: last === undefined ? undefined : 'think',
      blocks: stream.first(shape.numPromptTokens),
      ...(isLonger ? { includesAnswer: true } : {}),
    }
    this.#sessions.remember(name, session, request, time.seconds + time.elapsed)
    return request
  }
}
