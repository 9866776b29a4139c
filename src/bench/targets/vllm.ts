import { z } from 'zod'
import type { TargetAdapter } from './adapter.ts'
import { completionBody, openAi } from './openai.ts'

const version = z.object({ version: z.string(), server: z.undefined().optional() })

/** Reports cached tokens when it was started with `--enable-prompt-tokens-details`. */
export const vllm: TargetAdapter = {
  ...openAi,
  name: 'vllm',
  probe: '/version',
  recognize: (answer) => version.safeParse(answer).data?.version,
  takesTokens: true,
  body: (ask) => ({
    ...completionBody(ask),
    ignore_eos: true,
    ...(ask.wantsTokenIds ? { return_token_ids: true } : {}),
    min_tokens: ask.numOutputTokens,
  }),
  metrics: {
    numRunning: ['vllm:num_requests_running'],
    numWaiting: ['vllm:num_requests_waiting'],
    // Older releases called it by the device.
    kvUsage: ['vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc'],
  },
}
