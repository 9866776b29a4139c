import type { SequenceTimings } from '../engine/engine-client.ts'
import type { GenerationResult } from './generation.ts'

export interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
  readonly prompt_tokens_details: { readonly cached_tokens: number }
}

/** What of a request counts: its answers, and the prompts that they are to, each once however many answer it. */
export interface UsageRequest {
  readonly numPromptTokens: number
  readonly generations: readonly { readonly promptTokens: readonly number[] }[]
}

/** OpenAI's usage of a request: its prompts once each, all answers. `results` are those of all generations. */
export function usageOf(
  { numPromptTokens, generations }: UsageRequest,
  results: readonly GenerationResult[],
): Usage {
  const completion = results.reduce((sum, { numOutputTokens }) => sum + numOutputTokens, 0)
  const cached = results.reduce((sum, { timings }, index) => {
    const isFirst = generations[index]?.promptTokens !== generations[index - 1]?.promptTokens
    return isFirst ? sum + timings.numCachedTokens : sum
  }, 0)
  return {
    prompt_tokens: numPromptTokens,
    completion_tokens: completion,
    total_tokens: numPromptTokens + completion,
    prompt_tokens_details: { cached_tokens: cached },
  }
}

/** What llama-server reports of a request, in milliseconds. */
export function timingsOf(numPromptTokens: number, { numOutputTokens, timings }: GenerationResult) {
  const promptMs = millis(timings, 'firstScheduledAt', 'firstTokenAt')
  const predictedMs = millis(timings, 'firstTokenAt', 'finishedAt')
  const numComputed = numPromptTokens - timings.numCachedTokens
  return {
    cache_n: timings.numCachedTokens,
    prompt_n: numComputed,
    prompt_ms: promptMs,
    prompt_per_token_ms: ratio(promptMs, numComputed),
    prompt_per_second: ratio(numComputed * 1000, promptMs),
    predicted_n: numOutputTokens,
    predicted_ms: predictedMs,
    predicted_per_token_ms: ratio(predictedMs, numOutputTokens),
    predicted_per_second: ratio(numOutputTokens * 1000, predictedMs),
  }
}

type Instant = 'firstScheduledAt' | 'firstTokenAt' | 'finishedAt'

function millis(timings: SequenceTimings, from: Instant, to: Instant): number {
  return ((timings[to] ?? 0) - (timings[from] ?? timings[to] ?? 0)) / 1000
}

const ratio = (value: number, by: number) => (by > 0 ? value / by : 0)
