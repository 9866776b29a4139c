/** Any server with OpenAI's completions: no exact prompts, no forced lengths. The others are variations of it. */
import { z } from 'zod'
import type { AnswerEvent, Ask, TargetAdapter } from './adapter.ts'

const count = z.number().int().min(0).optional().catch(undefined)

/** Every field may be missing or odd in somebody else's server. */
const chunk = z.object({
  choices: z
    .array(
      z.object({
        text: z.string().nullish().catch(undefined),
        finish_reason: z.string().nullish().catch(undefined),
        token_ids: z.array(z.number().int()).nullish().catch(undefined),
      }),
    )
    .optional(),
  usage: z
    .object({
      prompt_tokens: count,
      completion_tokens: count,
      prompt_tokens_details: z.object({ cached_tokens: count }).nullish().catch(undefined),
    })
    .nullish()
    .catch(undefined),
  timings: z.object({ cache_n: count }).optional().catch(undefined),
  error: z.union([z.string(), z.object({ message: z.string() })]).optional(),
})

export const openAi: TargetAdapter = {
  name: 'openai',
  probe: undefined,
  recognize: () => undefined,
  takesTokens: false,
  path: '/v1/completions',
  framing: 'sse',
  body: completionBody,
  headers: () => ({}),
  read: readCompletionChunk,
  metrics: undefined,
}

export function completionBody({ model, prompt, numOutputTokens, tenant }: Ask): object {
  return {
    model,
    prompt: 'tokens' in prompt ? prompt.tokens : prompt.text,
    max_tokens: numOutputTokens,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
    user: tenant,
  }
}

/** A chunk with neither text nor a finish reason is a token that shows nothing yet. */
function readCompletionChunk(event: unknown): AnswerEvent | undefined {
  const parsed = chunk.safeParse(event)
  if (!parsed.success) return undefined
  const { choices, usage, timings, error } = parsed.data
  if (error !== undefined) return { isToken: false, error: typeof error === 'string' ? error : error.message }
  const choice = choices?.[0]
  const answer: { -readonly [Key in keyof AnswerEvent]: AnswerEvent[Key] } = {
    isToken: choice !== undefined && ((choice.text ?? '') !== '' || (choice.finish_reason ?? null) === null),
  }
  if (choice?.token_ids) answer.tokenIds = choice.token_ids
  const cached = usage?.prompt_tokens_details?.cached_tokens ?? timings?.cache_n
  if (usage?.prompt_tokens !== undefined) answer.promptTokens = usage.prompt_tokens
  if (usage?.completion_tokens !== undefined) answer.outputTokens = usage.completion_tokens
  if (cached !== undefined) answer.cachedTokens = cached
  return answer
}
