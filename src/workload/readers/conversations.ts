/**
 * Conversations as text: ShareGPT's JSON (`conversations` of `from` and `value`), OpenAI's messages, and the runs of
 * tau-bench (Yao et al. 2024; `traj`). Each answer of the assistant is a turn; lengths are counted by the caller's
 * function, without the words that a chat template adds. Such files have no times.
 */
import { micros, type Micros } from '../../core/units.ts'
import { RandomStream } from '../../core/random.ts'
import { ContentIds, ContentStream } from '../content.ts'
import { exponential } from '../distributions.ts'
import type { ContentId, WorkloadRequest } from '../workload.ts'
import { isObject, parseObject } from './fields.ts'
import { placeTurn } from './programs.ts'
import {
  fault,
  type ReaderOptions,
  type ReadResult,
  type RecordReader,
  type TraceFormat,
} from './trace-format.ts'

const blockSize = 16

export const sharegpt: TraceFormat = {
  about:
    'ShareGPT JSON and JSON lines of OpenAI messages: conversations; lengths are estimated from the text.',
  framing: 'objects',
  order: 'programs',
  matches: (_, head) => /"(conversations|messages)"\s*:/.test(head),
  open: (options) => new ConversationReader(options),
}

export const tauBench: TraceFormat = {
  ...sharegpt,
  about:
    "tau-bench's historical trajectories: conversations with tool calls; lengths are estimated from the text.",
  matches: (_, head) => /"traj"\s*:/.test(head) || (/"task_id"\s*:/.test(head) && /"reward"\s*:/.test(head)),
}

interface Message {
  readonly role: 'assistant' | 'tool' | 'system' | 'user'
  readonly numTokens: number
  readonly text: string
}

interface Program {
  readonly name: string
  readonly tenant: string
  readonly start: Micros
}

/** System prompts that are remembered, so that those who have the same one share its blocks. */
const maxSystemPrompts = 1000

class ConversationReader implements RecordReader {
  readonly blockSize: number = blockSize
  readonly #options: ReaderOptions
  readonly #ids = new ContentIds()
  readonly #random: RandomStream
  readonly #systemBlocks = new Map<string, readonly ContentId[]>()
  #start = 0
  #numRead = 0

  constructor(options: ReaderOptions) {
    this.#options = options
    this.#random = new RandomStream(options.seed).split(1)
  }

  read(record: string): ReadResult {
    const value = parseObject(record)
    if (typeof value === 'string') return fault(value)
    const list = value.conversations ?? value.messages ?? value.traj
    if (!Array.isArray(list)) return fault('no "conversations", "messages" or "traj"')
    const messages: Message[] = []
    for (const item of list) {
      const message = parseMessage(item, this.#options.countTokens)
      if (message === undefined) return fault(`message ${messages.length + 1} has no role or no text`)
      messages.push(message)
    }
    const requests = this.#turns(messages, this.#program())
    return requests.length > 0 ? { requests } : fault('a conversation without an answer to anything')
  }

  #program(): Program {
    this.#start += (exponential(this.#random) / this.#options.sessionsPerSecond) * 1_000_000
    const name = `conversation-${this.#numRead++}`
    return { name, tenant: name, start: micros(this.#start) }
  }

  #turns(messages: readonly Message[], program: Program): WorkloadRequest[] {
    const stream = new ContentStream(this.#ids, blockSize, this.#shared(messages[0]))
    const requests: WorkloadRequest[] = []
    let numTokens = 0
    for (const [index, message] of messages.entries()) {
      if (message.role === 'assistant' && numTokens > 0 && message.numTokens > 0) {
        const isAfterTool = messages[index - 1]?.role === 'tool'
        requests.push(this.#turn(program, requests.at(-1), { stream, numTokens, message, isAfterTool }))
      }
      numTokens += message.numTokens
    }
    return requests
  }

  #turn(
    program: Program,
    previous: WorkloadRequest | undefined,
    now: {
      readonly stream: ContentStream
      readonly numTokens: number
      readonly message: Message
      readonly isAfterTool: boolean
    },
  ): WorkloadRequest {
    const pause = exponential(this.#random) * this.#options.thinkSeconds * 1_000_000
    return {
      ...placeTurn(previous, program.start, now.isAfterTool ? 0 : pause),
      tenant: program.tenant,
      program: program.name,
      gapKind: previous === undefined ? undefined : now.isAfterTool ? 'tool' : 'think',
      numPromptTokens: now.numTokens,
      numOutputTokens: now.message.numTokens,
      blocks: now.stream.first(now.numTokens),
      ...(previous !== undefined && now.numTokens > previous.numPromptTokens + previous.numOutputTokens
        ? { includesAnswer: true }
        : {}),
      serviceClass: 'default',
    }
  }

  /** Whole blocks of the system prompt, which all conversations with the same one begin with. */
  #shared(first: Message | undefined): readonly ContentId[] {
    if (first?.role !== 'system') return []
    const known = this.#systemBlocks.get(first.text)
    if (known !== undefined) return known
    const blocks = this.#ids.take(Math.floor(first.numTokens / blockSize))
    if (this.#systemBlocks.size < maxSystemPrompts) this.#systemBlocks.set(first.text, blocks)
    return blocks
  }
}

const roles: Readonly<Record<string, Message['role']>> = {
  gpt: 'assistant',
  chatgpt: 'assistant',
  bard: 'assistant',
  bing: 'assistant',
  assistant: 'assistant',
  tool: 'tool',
  function: 'tool',
  system: 'system',
  developer: 'system',
  human: 'user',
  user: 'user',
}

function parseMessage(value: unknown, countTokens: (text: string) => number): Message | undefined {
  if (!isObject(value)) return undefined
  const role = roles[String(value.role ?? value.from)]
  const content = value.content ?? value.value ?? ''
  if (role === undefined) return undefined
  const calls = Array.isArray(value.tool_calls) ? JSON.stringify(value.tool_calls) : ''
  const text = (typeof content === 'string' ? content : JSON.stringify(content)) + calls
  return { role, text, numTokens: text === '' ? 0 : Math.max(1, Math.round(countTokens(text))) }
}
