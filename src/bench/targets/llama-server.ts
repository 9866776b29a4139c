import { z } from 'zod'
import type { AnswerEvent, TargetAdapter } from './adapter.ts'
import { openAi } from './openai.ts'

const props = z.object({ build_info: z.string() })
const count = z.number().int().min(0).optional().catch(undefined)
const event = z.object({
  content: z.string().optional(),
  tokens: z.array(z.number().int()).optional().catch(undefined),
  stop: z.boolean().optional(),
  tokens_evaluated: count,
  tokens_predicted: count,
  timings: z.object({ cache_n: count }).optional().catch(undefined),
  error: z.union([z.string(), z.object({ message: z.string() })]).optional(),
})

/**
 * llama-server's own `/completion`: the same work as its `/v1/completions`, and it tells the tokens of an answer, so that
 * its cache can find them in the turns that follow. `/metrics` answers when the server was started with `--metrics`.
 */
export const llamaServer: TargetAdapter = {
  ...openAi,
  name: 'llama-server',
  probe: '/props',
  recognize: (answer) => props.safeParse(answer).data?.build_info,
  takesTokens: true,
  path: '/completion',
  body: ({ model, prompt, numOutputTokens }) => ({
    model,
    prompt: 'tokens' in prompt ? prompt.tokens : prompt.text,
    n_predict: numOutputTokens,
    ignore_eos: true,
    temperature: 0,
    stream: true,
    // The last event would repeat the whole prompt as text.
    response_fields: ['content', 'tokens', 'stop', 'tokens_evaluated', 'tokens_predicted', 'timings'],
  }),
  read: readCompletionEvent,
  metrics: {
    numRunning: ['llamacpp:requests_processing'],
    numWaiting: ['llamacpp:requests_deferred'],
    // Later releases do not tell it.
    kvUsage: ['llamacpp:kv_cache_usage_ratio'],
  },
}

function readCompletionEvent(json: unknown): AnswerEvent | undefined {
  const parsed = event.safeParse(json)
  if (!parsed.success) return undefined
  const { content, tokens, stop, tokens_evaluated: prompted, tokens_predicted: generated } = parsed.data
  const { error, timings } = parsed.data
  if (error !== undefined) return { isToken: false, error: typeof error === 'string' ? error : error.message }
  if (content === undefined) return undefined
  return {
    isToken: stop !== true,
    ...(tokens === undefined ? {} : { tokenIds: tokens }),
    ...(prompted === undefined ? {} : { promptTokens: prompted }),
    ...(generated === undefined ? {} : { outputTokens: generated }),
    ...(timings?.cache_n === undefined ? {} : { cachedTokens: timings.cache_n }),
  }
}
