import { z } from 'zod'
import type { Deadline } from '../../workload/workload.ts'
import type { TargetAdapter } from './adapter.ts'
import { completionBody, openAi } from './openai.ts'

const version = z.object({ server: z.literal('switchyard'), version: z.string() })

export const switchyard: TargetAdapter = {
  ...openAi,
  name: 'switchyard',
  probe: '/version',
  recognize: (answer) => version.safeParse(answer).data?.version,
  takesTokens: true,
  body: (ask) => ({
    ...completionBody(ask),
    ignore_eos: true,
    ...(ask.wantsTokenIds ? { return_token_ids: true } : {}),
    ...(ask.deadline === undefined ? {} : { metadata: deadlineFields(ask.deadline) }),
    ...(ask.serviceClass === 'default' ? {} : { service_tier: ask.serviceClass }),
  }),
  headers: ({ tenant, program }) => ({
    'x-switchyard-tenant': encodeURIComponent(tenant),
    ...(program === undefined ? {} : { 'x-session-id': encodeURIComponent(program) }),
  }),
  metrics: {
    numRunning: ['vllm:num_requests_running'],
    numWaiting: ['vllm:num_requests_waiting'],
    kvUsage: ['vllm:kv_cache_usage_perc'],
  },
}

const deadlineFields = ({ after, numTurns }: Deadline): object => ({
  deadline_ms: Math.round(after / 1000),
  num_stages: numTurns,
})
