import { expect, it } from 'vitest'
import { scriptedServer } from '../../test/support/api-server.ts'

it("counts what was served under vLLM's names, and stops listening when it ends", async () => {
  const server = scriptedServer('abc')
  const ask = (stop?: string) =>
    server.app.inject({
      method: 'POST',
      url: '/v1/completions',
      payload: { prompt: 'Hi', stop, max_tokens: 3 },
    })
  await ask()
  await ask('b')
  await server.engine.idle()
  server.engine.crash('SIGKILL')
  await server.app.inject('/nowhere')
  await server.app.inject('/metrics')
  const text = (await server.app.inject('/metrics')).body
  const value = (name: string, labels: string) => {
    const line = text
      .split('\n')
      .find((candidate) => candidate.startsWith(`${name}{`) && candidate.includes(labels))
    return Number(line?.split(' ').at(-1))
  }

  expect(value('vllm:prompt_tokens_total', 'model_name="script"')).toBe(4)
  expect(value('vllm:generation_tokens_total', '')).toBe(5)
  expect(value('vllm:request_success_total', 'finished_reason="length"')).toBe(1)
  expect(value('vllm:request_success_total', 'finished_reason="stop"')).toBe(1)
  expect(value('vllm:num_preemptions_total', '')).toBe(3)
  expect(value('vllm:num_requests_running', '')).toBe(0)
  expect(value('vllm:kv_cache_usage_perc', '')).toBe(0)
  expect(value('vllm:time_to_first_token_seconds_count', '')).toBe(2)
  expect(value('vllm:inter_token_latency_seconds_count', '')).toBe(3)
  expect(value('vllm:e2e_request_latency_seconds_count', '')).toBe(2)
  expect(value('vllm:request_queue_time_seconds_count', '')).toBe(2)
  expect(value('vllm:iteration_tokens_total_count', '')).toBe(server.engine.stats?.step)
  expect(value('switchyard_step_seconds_bucket', 'phase="emit"')).toBe(server.engine.stats?.step)
  expect(value('switchyard_requests_total', 'endpoint="/v1/completions",status="200"')).toBe(2)
  expect(value('switchyard_requests_total', 'endpoint="unknown",status="404"')).toBe(1)

  expect(value('switchyard_engine_crashes_total', '')).toBe(1)

  expect(server.engine.numListeners).toBe(3)
  await server.close()
  expect(server.engine.numListeners).toBe(0)
})
