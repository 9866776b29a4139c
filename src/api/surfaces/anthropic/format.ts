/** Answers as Anthropic's messages: a list of content blocks, whole or as a series of events. */
import { partsOf, type OutputEvent, type OutputPart } from '../../../text/output/events.ts'
import type { AnswerFormat, AnswerTotals } from '../../answer-format.ts'
import { eventStream, sseEvent } from '../../sse.ts'
import type { Usage } from '../../usage.ts'
import { anthropicErrorBody } from './error-body.ts'

export interface AnthropicFormatOptions {
  /** Of the message. */
  readonly id: string
  readonly requestId: string
  readonly model: string
  readonly numPromptTokens: number
}

type SendEvent = (event: { readonly type: string; readonly [field: string]: unknown }) => string

const stopReasons = { stop: 'end_turn', length: 'max_tokens', tool_calls: 'tool_use' } as const

export function anthropicFormat(options: AnthropicFormatOptions): AnswerFormat {
  const { id, requestId, model, numPromptTokens } = options
  const envelope = { id, type: 'message', role: 'assistant', model }
  const send: SendEvent = (event) => sseEvent(event, event.type)
  const blocks = new BlockEvents(send)
  return {
    contentType: eventStream,
    body: ([choice], totals) => ({
      ...envelope,
      content: partsOf(choice?.events ?? []).map(blockOf),
      ...stopOf(totals),
      usage: usageOf(totals.usage),
    }),
    opening: () => {
      const usage = { ...usageOf(undefined), input_tokens: numPromptTokens, output_tokens: 0 }
      const message = { ...envelope, content: [], stop_reason: null, stop_sequence: null, usage }
      return send({ type: 'message_start', message })
    },
    delta: ({ events }) => events.map((event) => blocks.write(event)).join(''),
    closing: () => blocks.end(),
    finish: (totals) =>
      send({ type: 'message_delta', delta: stopOf(totals), usage: usageOf(totals.usage) }) +
      send({ type: 'message_stop' }),
    failure: (error) => send(anthropicErrorBody(error, requestId)),
  }
}

function stopOf({ results: [result] }: AnswerTotals) {
  const stopSequence = result?.stopString ?? null
  return {
    stop_reason: stopSequence === null ? stopReasons[result?.reason ?? 'stop'] : 'stop_sequence',
    stop_sequence: stopSequence,
  }
}

/** Tokens that came from the prefix cache are not counted as input again. */
function usageOf(usage: Usage | undefined) {
  const cached = usage?.prompt_tokens_details.cached_tokens ?? 0
  return {
    input_tokens: (usage?.prompt_tokens ?? 0) - cached,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: usage?.completion_tokens ?? 0,
  }
}

/** Nobody signs thoughts here; the field must be there. */
const signature = ''

function blockOf(part: OutputPart) {
  if (part.kind === 'content') return { type: 'text', text: part.text, citations: null }
  if (part.kind === 'reasoning') return { type: 'thinking', thinking: part.text, signature }
  return { type: 'tool_use', id: part.id, name: part.name, input: JSON.parse(part.arguments) as unknown }
}

type BlockKind = 'text' | 'thinking' | 'tool_use'

/** One block is open at a time; events of another kind close it. */
class BlockEvents {
  readonly #send: SendEvent
  #index = -1
  #open: BlockKind | undefined

  constructor(send: SendEvent) {
    this.#send = send
  }

  write(event: OutputEvent): string {
    switch (event.kind) {
      case 'content':
        return this.#begin('text', { text: '' }) + this.#delta({ type: 'text_delta', text: event.text })
      case 'reasoning':
        return (
          this.#begin('thinking', { thinking: '', signature }) +
          this.#delta({ type: 'thinking_delta', thinking: event.text })
        )
      case 'call-started':
        return this.end() + this.#begin('tool_use', { id: event.id, name: event.name, input: {} })
      case 'call-arguments':
        return this.#delta({ type: 'input_json_delta', partial_json: event.text })
      case 'call-ended':
        return this.end()
    }
    return event satisfies never
  }

  end(): string {
    if (this.#open === undefined) return ''
    this.#open = undefined
    return this.#send({ type: 'content_block_stop', index: this.#index })
  }

  #begin(kind: BlockKind, fields: object): string {
    if (this.#open === kind) return ''
    const closing = this.end()
    this.#open = kind
    this.#index++
    const block = { type: kind, ...fields }
    return closing + this.#send({ type: 'content_block_start', index: this.#index, content_block: block })
  }

  #delta(delta: object): string {
    return this.#send({ type: 'content_block_delta', index: this.#index, delta })
  }
}
