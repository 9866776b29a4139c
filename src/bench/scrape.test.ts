import { expect, it } from 'vitest'
import { readGauges } from './scrape.ts'

it('reads gauges whatever their labels; sums the counts of several engines and averages their shares', () => {
  const page = [
    '# TYPE vllm:num_requests_running gauge',
    'vllm:num_requests_running{engine="0",model_name="a b"} 3',
    'vllm:num_requests_running{engine="1",model_name="a b"} 2',
    'vllm:num_requests_running_other 9',
    'old_usage{engine="0"} 0.25',
    'old_usage{engine="1"} 0.75',
  ].join('\n')
  const names = {
    numRunning: ['vllm:num_requests_running'],
    numWaiting: ['vllm:num_requests_waiting'],
    kvUsage: ['new_usage', 'old_usage'],
  }
  expect(readGauges(page, names, 7)).toEqual({ at: 7, numRunning: 5, numWaiting: undefined, kvUsage: 0.5 })
})
