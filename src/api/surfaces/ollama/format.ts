/** Answers as Ollama writes them: one JSON object a line, the last one with counts and durations in nanoseconds. */
import type { AnswerFormat, AnswerTotals } from '../../answer-format.ts'
import type { GenerationResult } from '../../generation.ts'
import { ollamaErrorBody } from './error-body.ts'

export interface OllamaFormatOptions {
  readonly model: string
  /** Where an answer's text goes: `message` of a chat, `response` of /api/generate. */
  readonly kind: 'chat' | 'generate'
}

export const ndjson = 'application/x-ndjson'
const line = (value: unknown) => `${JSON.stringify(value)}\n`

export function ollamaFormat({ model, kind }: OllamaFormatOptions): AnswerFormat {
  const envelope = () => ({ model, created_at: new Date().toISOString() })
  const saying = (text: string) =>
    kind === 'chat' ? { message: { role: 'assistant', content: text } } : { response: text }
  const end = ({ usage, results }: AnswerTotals) => ({
    done: true,
    done_reason: results[0]?.reason ?? 'stop',
    ...countsOf(usage.prompt_tokens, results[0]),
  })
  return {
    contentType: ndjson,
    body: ([choice], totals) => ({ ...envelope(), ...saying(choice?.text ?? ''), ...end(totals) }),
    opening: () => '',
    delta: ({ text }) => (text === '' ? '' : line({ ...envelope(), ...saying(text), done: false })),
    closing: () => '',
    finish: (totals) => line({ ...envelope(), ...saying(''), ...end(totals) }),
    failure: (error) => line(ollamaErrorBody(error)),
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
