/** Answers as OpenAI's chat and text completions write them: an envelope around choices. */
import type { AnswerFormat, Choice, Delta } from './answer-format.ts'
import { errorBody } from './errors.ts'
import type { GenerationResult } from './generation.ts'
import { eventStream, sseEvent } from './sse.ts'
import { timingsOf } from './usage.ts'

export interface ChoiceFormat {
  /** Fields of every answer and chunk: id, object, created, model. */
  readonly envelope: Readonly<Record<string, unknown>>
  readonly chunkEnvelope: Readonly<Record<string, unknown>>
  /** A whole choice of an answer that is not streamed. */
  choice(choice: Choice): unknown
  /** The first chunk of a choice; undefined when the format has none. */
  opening(index: number): unknown
  /** Undefined: there is nothing to say. */
  delta(delta: Delta): unknown
  closing(index: number, reason: GenerationResult['reason']): unknown
}

export interface OpenAiFormatOptions {
  readonly numPromptTokens: number
  /** A last chunk of a stream tells the usage. */
  readonly includeUsage: boolean
}

export function openAiFormat(
  format: ChoiceFormat,
  { numPromptTokens, includeUsage }: OpenAiFormatOptions,
): AnswerFormat {
  const chunk = (choices: readonly unknown[], extra: object = {}) =>
    sseEvent({ ...format.chunkEnvelope, choices, ...(includeUsage && { usage: null }), ...extra })
  return {
    contentType: eventStream,
    body: (choices, { usage, results: [first] }) => ({
      ...format.envelope,
      choices: choices.map((choice) => format.choice(choice)),
      usage,
      ...(first === undefined ? {} : { timings: timingsOf(numPromptTokens, first) }),
    }),
    opening: (numChoices) => {
      const openings = Array.from({ length: numChoices }, (_, index) => format.opening(index))
      return openings.map((opening) => (opening === undefined ? '' : chunk([opening]))).join('')
    },
    delta: (delta) => {
      const choice = format.delta(delta)
      return choice === undefined ? '' : chunk([choice])
    },
    closing: (index, result, isLast) =>
      chunk(
        [format.closing(index, result.reason)],
        isLast ? { timings: timingsOf(numPromptTokens, result) } : {},
      ),
    finish: ({ usage }) => (includeUsage ? chunk([], { usage }) : '') + sseEvent('[DONE]'),
    failure: (error) => sseEvent(errorBody(error.code, error.message, error.param)),
  }
}
