import { z } from 'zod'
import type { TargetAdapter } from './adapter.ts'
import { completionBody, openAi } from './openai.ts'

const props = z.object({ build_info: z.string() })

/** `/metrics` answers when the server was started with `--metrics`. */
export const llamaServer: TargetAdapter = {
  ...openAi,
  name: 'llama-server',
  probe: '/props',
  recognize: (answer) => props.safeParse(answer).data?.build_info,
  takesTokens: true,
  body: (ask) => ({ ...completionBody(ask), ignore_eos: true }),
  metrics: {
    numRunning: ['llamacpp:requests_processing'],
    numWaiting: ['llamacpp:requests_deferred'],
    kvUsage: ['llamacpp:kv_cache_usage_ratio'],
  },
}
