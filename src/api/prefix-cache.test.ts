/** The prefix cache as clients see it: an engine with a fake model behind the real API. */
import { afterEach, describe, expect, it } from 'vitest'
import { byteServer } from '../../test/support/api-server.ts'
import { createEngine } from '../engine/create-engine.ts'
import type { EvictionName } from '../kvcache/eviction/index.ts'

const closers: (() => Promise<void>)[] = []

async function serve(eviction: EvictionName | undefined, numBlocks = 256) {
  const engine = createEngine(
    {
      executor: { kind: 'fake', vocabSize: 259, maxModelLen: 512, blockSize: 16, numBlocks },
      scheduler: { maxNumSeqs: 8, maxNumBatchedTokens: 64, maxTbtMs: undefined, policy: 'fcfs' },
      eviction,
    },
    'in-process',
  )
  const server = byteServer(engine)
  await engine.ready()
  closers.push(
    () => server.close(),
    () => engine.close(),
  )
  const ask = async (url: string, fields: object) => {
    const response = await server.app.inject({
      method: 'POST',
      url,
      payload: { max_tokens: 4, temperature: 0, ...fields },
    })
    expect(response.statusCode).toBe(200)
    return response.body
  }
  return {
    server,
    ask,
    complete: async (prompt: string | readonly string[], fields: object = {}) =>
      JSON.parse(await ask('/v1/completions', { prompt, ...fields })) as Answer,
    chat: async (content: string, fields: object = {}) =>
      JSON.parse(
        await ask('/v1/chat/completions', { messages: [{ role: 'user', content }], ...fields }),
      ) as Answer,
    debug: async () => (await server.app.inject('/debug/kv')).json<DebugKv>(),
  }
}

interface Answer {
  readonly choices: readonly { readonly text?: string; readonly message?: { readonly content: string } }[]
  readonly usage: {
    readonly prompt_tokens: number
    readonly prompt_tokens_details: { readonly cached_tokens: number }
  }
  readonly timings: { readonly cache_n: number; readonly prompt_n: number }
}

interface DebugKv {
  readonly blocks: { readonly free: number; readonly owned: number; readonly cached: number }
  readonly prompts: Record<string, number>
  readonly evicted_blocks: Record<string, number>
}

const cachedOf = ({ usage }: Answer) => usage.prompt_tokens_details.cached_tokens

afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

describe('a prompt that was served before', () => {
  const text = 'All but the last token of it, which somebody must compute.'

  it('is cached to the last token but one, and answered the same', async () => {
    const { complete, chat } = await serve('value')
    for (const ask of [complete, chat]) {
      const [first, second] = [await ask(text), await ask(text)]
      expect(cachedOf(first)).toBeLessThan(8)
      expect(cachedOf(second)).toBe(second.usage.prompt_tokens - 1)
      expect(second.choices).toEqual(first.choices)
      expect(second.timings).toMatchObject({ cache_n: second.usage.prompt_tokens - 1, prompt_n: 1 })
    }
  })

  it('is cached with its answer for the next turn of a conversation', async () => {
    const { complete } = await serve('value')
    const letters = { '65': 100 }
    const { choices, usage } = await complete(text, { max_tokens: 20, logit_bias: letters })
    expect(choices[0]!.text).toBe('A'.repeat(20))
    const next = await complete(`${text}${choices[0]!.text!} And then?`)
    // The last token of an answer was never computed.
    expect(cachedOf(next)).toBe(usage.prompt_tokens + 19)
  })

  it('says so at the end of a stream too', async () => {
    const { ask } = await serve('value')
    const fields = { prompt: text, stream: true, stream_options: { include_usage: true } }
    await ask('/v1/completions', fields)
    expect(await ask('/v1/completions', fields)).toContain(`"cached_tokens":${text.length - 1}`)
  })

  it('is computed once for several answers, and counted once', async () => {
    const { complete, debug } = await serve('value')
    const forked = await complete(text, { n: 4, temperature: 1 })
    expect(cachedOf(forked)).toBe(0)
    const { prompts } = await debug()
    expect(prompts['tokens']).toBe(4 * forked.usage.prompt_tokens)
    expect(prompts['hit_tokens']).toBeGreaterThan(2.8 * forked.usage.prompt_tokens)
    const again = await complete([text, text], { n: 2, temperature: 1 })
    expect(cachedOf(again)).toBe(again.usage.prompt_tokens - 2)
  })

  it('is not found under another salt, and not without one', async () => {
    const { complete, chat } = await serve('value')
    for (const ask of [complete, chat]) {
      expect(cachedOf(await ask(text, { cache_salt: 'ada' }))).toBe(0)
      expect(cachedOf(await ask(text, { cache_salt: 'bob' }))).toBe(0)
      expect(cachedOf(await ask(text, { cache_salt: 'ada' }))).toBeGreaterThan(text.length - 2)
    }
    const { complete: other } = await serve('value')
    await other(text)
    expect(cachedOf(await other(text, { cache_salt: 'ada' }))).toBe(0)
    expect(cachedOf(await other(text))).toBe(text.length - 1)
  })

  it('is computed again when there is no prefix cache', async () => {
    const { complete, debug } = await serve(undefined)
    await complete(text)
    expect(cachedOf(await complete(text))).toBe(0)
    expect((await debug()).blocks).toEqual({ free: 256, owned: 0, cached: 0 })
  })
})

describe('the debug page and the metrics of the KV cache', () => {
  it('count blocks by state, hits, what an infinite cache would have hit, and evictions', async () => {
    const { complete, debug, server } = await serve('lru', 33)
    const prompt = (letter: string) => letter.repeat(200)
    for (const letter of ['a', 'b', 'c', 'd']) await complete(prompt(letter))
    await complete(prompt('a'))
    const { blocks, prompts, evicted_blocks: evicted } = await debug()
    expect(blocks.owned).toBe(0)
    expect(blocks.free + blocks.cached).toBe(33)
    expect(blocks.cached).toBeGreaterThan(15)
    expect(evicted['room']! + evicted['order']!).toBeGreaterThan(15)
    expect(prompts).toMatchObject({ tokens: 1000, hit_tokens: 0, ideal_hit_tokens: 192 })
    const metrics = (await server.app.inject('/metrics')).body
    expect(metrics).toMatch(/^vllm:prefix_cache_queries_total\{.*\} 1000$/m)
    expect(metrics).toMatch(/^switchyard_kv_ideal_hits_total\{.*\} 192$/m)
    expect(metrics).toMatch(/^vllm:cache_config_info\{.*enable_prefix_caching="True".*eviction="lru".*\} 1$/m)
    expect(metrics).toMatch(new RegExp(`^switchyard_kv_blocks\\{state="cached".*\\} ${blocks.cached}$`, 'm'))
  })
})

describe('what a request wishes of the cache', () => {
  it.each([
    ['cache_salt', ''],
    ['cache_salt', 7],
    ['prompt_cache_retention', 'for ever'],
    ['prompt_cache_key', 7],
  ])('is refused when %s is %j', async (field, wrong) => {
    const { server } = await serve('value')
    const payload = { prompt: 'Hi', [field]: wrong }
    const response = await server.app.inject({ method: 'POST', url: '/v1/completions', payload })
    expect(response.statusCode).toBe(400)
    expect(response.json()).toMatchObject({ error: { param: field } })
  })

  it("is taken in OpenAI's words", async () => {
    const { complete } = await serve('value')
    for (const retention of ['in_memory', 'in-memory', '24h']) {
      await complete('Hi', { prompt_cache_key: 'k', prompt_cache_retention: retention })
    }
  })
})
