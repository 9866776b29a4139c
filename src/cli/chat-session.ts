/** The conversation of `switchyard chat`: reads lines, streams answers, keeps the history. Knows no engine. */
import { createInterface, type Interface } from 'node:readline'

import { streamChunks, type Endpoint, type StreamChunk } from './openai-client.ts'
import { dim } from './terminal.ts'

export interface ChatTarget {
  readonly endpoint: Endpoint
  readonly model: string
  readonly maxTokens: number
  readonly temperature: number
  readonly system: string | undefined
}

interface Message {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

const commandsHelp =
  '/reset forgets the conversation, /exit leaves. Ctrl-C stops an answer; at the prompt, twice leaves.'

/** Resolves when the user leaves or the input ends. Lines from a pipe are answered one after another. */
export async function runConversation(target: ChatTarget): Promise<void> {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY
  const lines = createInterface({
    input: process.stdin,
    output: isTerminal ? process.stdout : undefined,
    terminal: isTerminal,
    prompt: '> ',
    historySize: 500,
  })
  if (isTerminal) insertPastesAtCursor(lines)
  const session = new ChatSession(target, lines, isTerminal)
  if (isTerminal) process.stdout.write(`${dim(`${target.model}. ${commandsHelp}`, process.stdout)}\n`)
  session.prompt()
  try {
    for await (const line of lines) if (await session.handle(line.trim())) return
  } finally {
    lines.close()
  }
}

/**
 * While several keys arrive at once, Node.js 20 switches completion off, and then appends to the line wherever the
 * cursor is: text pasted into the middle of a line would land at its end.
 */
function insertPastesAtCursor(lines: Interface): void {
  Object.defineProperty(lines, 'isCompletionEnabled', { get: () => true, set() {} })
}

class ChatSession {
  readonly #target: ChatTarget
  readonly #lines: Interface
  readonly #isTerminal: boolean
  #messages: Message[] = []
  #answering: AbortController | undefined
  #isLeaving = false

  constructor(target: ChatTarget, lines: Interface, isTerminal: boolean) {
    this.#target = target
    this.#lines = lines
    this.#isTerminal = isTerminal
    this.#reset()
    lines.on('SIGINT', () => this.#interrupt())
  }

  prompt(): void {
    if (this.#isTerminal) this.#lines.prompt()
  }

  /** True when the user wants to leave. */
  async handle(line: string): Promise<boolean> {
    this.#isLeaving = false
    if (line === '/exit' || line === '/quit') return true
    if (line === '/reset') this.#reset()
    else if (line === '/help') this.#note(commandsHelp)
    else if (/^\/[a-z]+$/.test(line)) this.#note(`There is no ${line}. ${commandsHelp}`)
    else if (line !== '') await this.#answer(line)
    this.prompt()
    return false
  }

  #reset(): void {
    const { system } = this.#target
    this.#messages = system === undefined ? [] : [{ role: 'system', content: system }]
  }

  /** At the prompt the first Ctrl-C clears the line, the second one leaves. */
  #interrupt(): void {
    if (this.#answering !== undefined) {
      this.#answering.abort()
      return
    }
    if (this.#isLeaving && this.#lines.line === '') {
      process.stdout.write('\n')
      this.#lines.close()
      return
    }
    this.#isLeaving = true
    process.stdout.write('\n')
    this.#lines.write(null, { ctrl: true, name: 'e' })
    this.#lines.write(null, { ctrl: true, name: 'u' })
    this.#note('Ctrl-C again or /exit leaves.')
    this.prompt()
  }

  /** A failed answer leaves the conversation as it was before the question; a stopped one keeps what came, if anything. */
  async #answer(question: string): Promise<void> {
    const messages: Message[] = [...this.#messages, { role: 'user', content: question }]
    const abort = new AbortController()
    this.#answering = abort
    const answer = new Answer()
    try {
      await streamChunks(this.#target.endpoint, '/v1/chat/completions', this.#request(messages), {
        signal: abort.signal,
        onChunk: (chunk) => answer.take(chunk),
      })
    } catch (error) {
      if (!abort.signal.aborted) {
        this.#note(
          `${answer.text === '' ? '' : '\n'}${error instanceof Error ? error.message : String(error)}`,
        )
        return
      }
    } finally {
      this.#answering = undefined
    }
    if (answer.text !== '') process.stdout.write('\n')
    this.#note(answer.summary(abort.signal.aborted))
    if (answer.text === '' && abort.signal.aborted) return
    this.#messages = [...messages, { role: 'assistant', content: answer.text }]
  }

  #request(messages: readonly Message[]): object {
    const { model, maxTokens, temperature } = this.#target
    return {
      model,
      messages,
      max_tokens: maxTokens,
      temperature,
      stream: true,
      stream_options: { include_usage: true },
    }
  }

  #note(words: string): void {
    process.stderr.write(`${dim(words, process.stderr)}\n`)
  }
}

/** What has come of one answer, and when. */
class Answer {
  text = ''
  readonly #startedAt = performance.now()
  #firstAt: number | undefined
  #lastAt = this.#startedAt
  #numChunks = 0
  #numTokens: number | undefined
  #serverSeconds = 0

  take(chunk: StreamChunk): void {
    if (chunk.timings?.predicted_ms !== undefined) this.#serverSeconds = chunk.timings.predicted_ms / 1000
    this.#numTokens = chunk.usage?.completion_tokens ?? this.#numTokens
    const piece = chunk.choices?.[0]?.delta?.content ?? ''
    if (piece === '') return
    this.#lastAt = performance.now()
    this.#firstAt ??= this.#lastAt
    this.#numChunks += 1
    this.text += piece
    process.stdout.write(piece)
  }

  /**
   * `12 tokens, 85.3 tokens/s, first token 0.02 s`. The rate is that after the first token, by the server's clock if
   * it tells: several tokens may reach us at one moment.
   */
  summary(isStopped: boolean): string {
    const numTokens = this.#numTokens ?? this.#numChunks
    const parts = [`${numTokens} ${numTokens === 1 ? 'token' : 'tokens'}`]
    if (this.#firstAt !== undefined) {
      const seconds = this.#serverSeconds || (this.#lastAt - this.#firstAt) / 1000
      if (numTokens > 1 && seconds > 0) parts.push(`${((numTokens - 1) / seconds).toFixed(1)} tokens/s`)
      parts.push(`first token ${((this.#firstAt - this.#startedAt) / 1000).toFixed(2)} s`)
    }
    return parts.join(', ') + (isStopped ? ', stopped' : '')
  }
}
