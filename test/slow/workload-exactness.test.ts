/** Workloads sent to a real server one request after another: its own usage figures must be the workload's. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadWorkload } from '../../src/bench/load-workload.ts'
import { startServer, type RunningServer } from '../../src/cli/start-server.ts'
import { loadConfig } from '../../src/config/resolve.ts'
import { reusableTokens } from '../../src/workload/reusable-tokens.ts'
import { synthesizePrompts } from '../../src/workload/synthesize-prompt.ts'
import { factorToFit, scaleLengths } from '../../src/workload/transforms/index.ts'
import { fixturePath } from '../support/workloads.ts'

let server: RunningServer

beforeAll(async () => {
  const flags = { port: '0', 'log-level': 'silent', 'kv-cache-tokens': '100000' }
  server = await startServer(loadConfig(new Map(Object.entries(flags)), {}).values)
  await server.engine.ready()
})

afterAll(() => server.close())

interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly prompt_tokens_details: { readonly cached_tokens: number }
}

async function complete(prompt: readonly number[], maxTokens: number): Promise<Usage> {
  const response = await fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt, max_tokens: maxTokens, ignore_eos: true, temperature: 0 }),
  })
  return ((await response.json()) as { readonly usage: Usage }).usage
}

describe('prompts, cached tokens and answers are as long as the workload says', () => {
  const sources = [
    'agents:programs=8,rate=1',
    'prefix-tree:requests=40,output=16',
    'poisson:requests=20,spread=1,output=16',
    fixturePath('mooncake.jsonl'),
    fixturePath('agent-sessions.jsonl'),
    fixturePath('tau-bench.json'),
  ]
  it.each(sources.map((source, index) => [source, index] as const))('%s', async (source, index) => {
    const { workload } = await loadWorkload(source, { seed: 3 })
    const scaled = scaleLengths(workload, factorToFit(workload, 400), 0.05)
    // Another seed for each, so that none finds what another has left in the cache.
    const prompts = [...synthesizePrompts(scaled, { seed: index, range: { first: 300, count: 400 } })]
    const usages: Usage[] = []
    for (const [at, { numOutputTokens }] of scaled.requests.entries()) {
      usages.push(await complete(prompts[at]!, numOutputTokens))
    }
    expect(usages.map((usage) => usage.prompt_tokens)).toEqual(prompts.map((prompt) => prompt.length))
    expect(usages.map((usage) => usage.completion_tokens)).toEqual(
      scaled.requests.map(({ numOutputTokens }) => numOutputTokens),
    )
    // The server reuses whole blocks of 32 always, and of one in which prompts part as much as it still has.
    const least = reusableTokens(scaled, { serverBlockSize: 32 })
    const most = reusableTokens(scaled, { serverBlockSize: 1 })
    for (const [at, { prompt_tokens_details: details }] of usages.entries()) {
      expect(details.cached_tokens).toBeGreaterThanOrEqual(least[at]!)
      // In a vocabulary of 400, new blocks may begin alike by chance.
      expect(details.cached_tokens).toBeLessThanOrEqual(most[at]! + 2)
    }
  })
})
