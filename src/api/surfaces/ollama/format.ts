/** Answers as Ollama writes them: one JSON object a line, the last one with counts and durations in nanoseconds. */
import { partsOf, type OutputEvent, type OutputPart } from '../../../text/output/events.ts'
import type { Tokenizer } from '../../../text/tokenizer.ts'
import type { AnswerFormat, AnswerTotals } from '../../answer-format.ts'
import type { GenerationResult, TokenDetail } from '../../generation.ts'
import { chatLogprobs } from '../../logprobs.ts'
import { ollamaErrorBody } from './error-body.ts'

export interface OllamaFormatOptions {
  readonly model: string
  /** Where an answer's text goes: `message` of a chat, `response` of /api/generate. */
  readonly kind: 'chat' | 'generate'
  readonly tokenizer: Tokenizer
}

export const ndjson = 'application/x-ndjson'
const line = (value: unknown) => `${JSON.stringify(value)}\n`

export function ollamaFormat({ model, kind, tokenizer }: OllamaFormatOptions): AnswerFormat {
  const envelope = () => ({ model, created_at: new Date().toISOString() })
  const saying = (parts: readonly OutputPart[]) =>
    kind === 'chat' ? { message: messageOf(parts) } : responseOf(parts)
  const calls = new WholeCalls()
  const logprobsOf = (details: readonly TokenDetail[]) => {
    const { content } = chatLogprobs(tokenizer, details)
    return content.length === 0 ? undefined : { logprobs: content }
  }
  const end = ({ usage, results }: AnswerTotals) => ({
    done: true,
    done_reason: results[0]?.reason === 'length' ? 'length' : 'stop',
    ...countsOf(usage.prompt_tokens, results[0]),
  })
  return {
    contentType: ndjson,
    body: ([choice], totals) => ({
      ...envelope(),
      ...saying(partsOf(choice?.events ?? [])),
      ...logprobsOf(choice?.details ?? []),
      ...end(totals),
    }),
    opening: () => '',
    delta: ({ events, details }) => {
      const parts = events.flatMap((event) => calls.take(event) ?? [])
      const known = logprobsOf(details)
      if (parts.length === 0 && known === undefined) return ''
      return line({ ...envelope(), ...saying(parts), ...known, done: false })
    },
    closing: () => '',
    finish: (totals) => line({ ...envelope(), ...saying([]), ...end(totals) }),
    failure: (error) => line(ollamaErrorBody(error)),
  }
}

const textIn = (parts: readonly OutputPart[], kind: 'content' | 'reasoning'): string =>
  parts.map((part) => (part.kind === kind ? part.text : '')).join('')

function messageOf(parts: readonly OutputPart[]) {
  const thinking = textIn(parts, 'reasoning')
  const calls = parts.filter((part) => part.kind === 'call')
  return {
    role: 'assistant',
    content: textIn(parts, 'content'),
    ...(thinking !== '' && { thinking }),
    ...(calls.length > 0 && {
      tool_calls: calls.map(({ id, name, arguments: given }) => ({
        id,
        function: { name, arguments: JSON.parse(given) as unknown },
      })),
    }),
  }
}

function responseOf(parts: readonly OutputPart[]) {
  const thinking = textIn(parts, 'reasoning')
  return { response: textIn(parts, 'content'), ...(thinking !== '' && { thinking }) }
}

/** Ollama sends a call whole: its events are kept until it ends. One that came out wrong is content. */
class WholeCalls {
  #held: OutputEvent[] = []

  take(event: OutputEvent): readonly OutputPart[] | undefined {
    if (event.kind === 'content' || event.kind === 'reasoning') return [event]
    this.#held.push(event)
    if (event.kind !== 'call-ended') return undefined
    const parts = partsOf(this.#held)
    this.#held = []
    return parts
  }
}

function countsOf(numPromptTokens: number, result: GenerationResult | undefined) {
  const { arrivedAt = 0, firstScheduledAt, firstTokenAt, finishedAt = 0 } = result?.timings ?? {}
  const nanos = (from: number | undefined, to: number | undefined) =>
    ((to ?? finishedAt) - (from ?? arrivedAt)) * 1000
  return {
    total_duration: nanos(arrivedAt, finishedAt),
    // The model is always there.
    load_duration: 0,
    prompt_eval_count: numPromptTokens,
    prompt_eval_duration: nanos(firstScheduledAt, firstTokenAt),
    eval_count: result?.numOutputTokens ?? 0,
    eval_duration: nanos(firstTokenAt, finishedAt),
  }
}
