/**
 * Sessions of coding agents (kv-cache-tester by WEKA): one session a line with its turns, tool and think times, block
 * ids as ranges `[first, count]` and nested sub-agents. Sessions have clocks of their own, so their starts are drawn.
 */
import { RandomStream } from '../../core/random.ts'
import { micros, type Micros } from '../../core/units.ts'
import { ContentIds } from '../content.ts'
import { exponential } from '../distributions.ts'
import { canIncludeAnswer } from '../check-workload.ts'
import type { ContentId, WorkloadRequest } from '../workload.ts'
import { amount, isObject, lengths, parseObject, shown } from './fields.ts'
import { placeTurn } from './programs.ts'
import {
  fault,
  nothing,
  type ReaderOptions,
  type ReadResult,
  type RecordReader,
  type TraceFormat,
} from './trace-format.ts'

export const agentSessions: TraceFormat = {
  about: 'JSON lines of coding-agent sessions (WEKA): turns, tool and think times, block ranges, sub-agents.',
  framing: 'lines',
  order: 'programs',
  matches: (_, head) => head.includes('"hash_ranges"') || head.includes('"hash_id_scope"'),
  open: (options) => new AgentSessionReader(options),
}

type Fields = Readonly<Record<string, unknown>>

interface Session {
  readonly tenant: string
  /** Added to ids, which mean something inside one session only. */
  readonly idBase: number
}

class AgentSessionReader implements RecordReader {
  readonly #options: ReaderOptions
  readonly #random: RandomStream
  readonly #fresh = new ContentIds()
  #blockSize: number | undefined
  #start = 0
  #nextId = 0

  constructor(options: ReaderOptions) {
    this.#options = options
    this.#random = new RandomStream(options.seed).split(2)
  }

  get blockSize(): number {
    return this.#blockSize ?? 64
  }

  read(record: string): ReadResult {
    if (record.trim() === '') return nothing
    const fields = parseObject(record)
    if (typeof fields === 'string') return fault(fields)
    const { id, block_size: blockSize, requests } = fields
    if (typeof id !== 'string' || !Array.isArray(requests)) return fault('no "id" or no "requests"')
    if (typeof blockSize !== 'number' || !Number.isInteger(blockSize) || blockSize < 1) {
      return fault(`${shown(blockSize)} is no block size`)
    }
    if (blockSize !== (this.#blockSize ?? blockSize))
      return fault(`blocks of ${blockSize} tokens, unlike before`)
    this.#blockSize = blockSize
    return this.#session(id, requests)
  }

  #session(id: string, entries: readonly unknown[]): ReadResult {
    this.#start += (exponential(this.#random) / this.#options.sessionsPerSecond) * 1_000_000
    const session = { tenant: id, idBase: this.#nextId }
    const result = this.#turns(session, id, entries, micros(this.#start))
    return typeof result === 'string' ? fault(`session ${id}: ${result}`) : { requests: result }
  }

  /** One chain of turns, and behind it those of its sub-agents, which are programs of their own. */
  #turns(
    session: Session,
    program: string,
    entries: readonly unknown[],
    start: Micros,
  ): WorkloadRequest[] | string {
    const turns: WorkloadRequest[] = []
    const nested: WorkloadRequest[] = []
    for (const entry of entries) {
      if (!isObject(entry)) return `${shown(entry)} is no request`
      if (entry.type === 'subagent') {
        const result = this.#subAgent(session, program, entry, { parent: turns.at(-1), start })
        if (typeof result === 'string') return result
        nested.push(...result)
        continue
      }
      const turn = this.#turn(session, program, entry, { previous: turns.at(-1), start })
      if (typeof turn === 'string') return `turn ${turns.length}: ${turn}`
      turns.push(turn)
    }
    return [...joinTails(turns), ...nested]
  }

  #subAgent(
    session: Session,
    program: string,
    entry: Fields,
    { parent, start }: { readonly parent: WorkloadRequest | undefined; readonly start: Micros },
  ): WorkloadRequest[] | string {
    if (!Array.isArray(entry.requests)) return 'a sub-agent without requests'
    const name = `${program}/${String(entry.agent_id)}`
    const turns = this.#turns(session, name, entry.requests, parent?.arrival ?? start)
    if (typeof turns === 'string' || parent === undefined) return turns
    const after = { program, turn: parent.turn }
    return turns.map((turn, index) => (index === 0 ? { ...turn, after } : turn))
  }

  #turn(
    session: Session,
    program: string,
    entry: Fields,
    place: { readonly previous: WorkloadRequest | undefined; readonly start: Micros },
  ): WorkloadRequest | string {
    // A few turns were cut off before their first token: the shortest answer stands for them.
    const length = lengths(entry.in, entry.out === 0 ? 1 : entry.out)
    if (typeof length === 'string') return length
    const gap = amount(entry.think_time ?? 0)
    if (gap === undefined) return `${shown(entry.think_time)} is no think time in seconds`
    const blocks = this.#blocks(session, entry.hash_ranges, length.numPromptTokens)
    if (typeof blocks === 'string') return blocks
    const isTool = Array.isArray(entry.input_types) && entry.input_types.includes('tool_result')
    return {
      ...placeTurn(place.previous, place.start, gap * 1_000_000),
      tenant: session.tenant,
      program,
      gapKind: place.previous === undefined ? undefined : isTool ? 'tool' : 'think',
      ...length,
      blocks,
      serviceClass: 'default',
    }
  }

  /** The ranges name whole blocks; what is left at the end is new. */
  #blocks(session: Session, ranges: unknown, numTokens: number): ContentId[] | string {
    if (!Array.isArray(ranges)) return `${shown(ranges)} are no block ranges`
    const numBlocks = Math.ceil(numTokens / this.blockSize)
    const blocks: ContentId[] = []
    for (const range of ranges) {
      const [first, count] = Array.isArray(range) ? range.map(amount) : []
      if (first === undefined || count === undefined) return `${shown(range)} is no block range`
      if (blocks.length + count > numBlocks) return `more blocks than ${numTokens} tokens have`
      for (let index = 0; index < count; index += 1) blocks.push(session.idBase + first + index)
      this.#nextId = Math.max(this.#nextId, session.idBase + first + count)
    }
    return [...blocks, ...this.#fresh.take(numBlocks - blocks.length)]
  }
}

/**
 * Where a turn has all whole blocks of the one before and room for its answer, the history has grown: then the tail
 * that was too short for an id is the beginning of the next turn's block at that place.
 */
function joinTails(turns: readonly WorkloadRequest[]): WorkloadRequest[] {
  const joined = [...turns]
  for (let index = joined.length - 1; index > 0; index -= 1) {
    const previous = joined[index - 1]!
    const next = joined[index]!
    const numWhole = previous.blocks.findLastIndex((id) => id >= 0) + 1
    const blocks = [
      ...previous.blocks.slice(0, numWhole),
      ...next.blocks.slice(numWhole, previous.blocks.length),
    ]
    if (blocks.length < previous.blocks.length || !canIncludeAnswer(next, { ...previous, blocks })) continue
    joined[index - 1] = { ...previous, blocks }
    joined[index] = { ...next, includesAnswer: true }
  }
  return joined
}
