import { describe, expect, it } from 'vitest'
import { micros } from '../../core/units.ts'
import type { Ask } from './adapter.ts'
import { adapters } from './index.ts'
import { llamaServer } from './llama-server.ts'
import { ollama } from './ollama.ts'
import { openAi } from './openai.ts'
import { switchyard } from './switchyard.ts'
import { parseTarget } from './target.ts'
import { vllm } from './vllm.ts'

const ask: Ask = {
  model: 'm',
  prompt: { tokens: [1, 2, 3] },
  numOutputTokens: 5,
  tenant: 'some one',
  program: 'agent-1',
  serviceClass: 'flex',
  deadline: undefined,
  wantsTokenIds: true,
}

describe('the adapters of servers', () => {
  it.each([
    [switchyard, { server: 'switchyard', version: '0.1.0' }, '0.1.0'],
    [vllm, { version: '0.11.2' }, '0.11.2'],
    [llamaServer, { build_info: 'b7000-abc', model_path: 'x' }, 'b7000-abc'],
    [ollama, { version: '0.5.1' }, '0.5.1'],
  ])('know their own server by its answer', (adapter, answer, version) => {
    expect(adapter.recognize(answer)).toBe(version)
    expect(adapter.recognize({ something: 'else' })).toBeUndefined()
    expect(adapter.recognize(undefined)).toBeUndefined()
  })

  it('do not take Switchyard for vLLM, whose route it shares', () => {
    expect(vllm.recognize({ server: 'switchyard', version: '0.1.0' })).toBeUndefined()
    expect(switchyard.recognize({ version: '0.11.2' })).toBeUndefined()
  })

  it('ask for exactly so many tokens in the words of each server', () => {
    expect(switchyard.body(ask)).toMatchObject({
      max_tokens: 5,
      ignore_eos: true,
      service_tier: 'flex',
      return_token_ids: true,
    })
    expect(vllm.body(ask)).toMatchObject({ max_tokens: 5, ignore_eos: true, min_tokens: 5 })
    expect(llamaServer.body(ask)).toMatchObject({ n_predict: 5, ignore_eos: true, prompt: [1, 2, 3] })
    const text = { ...ask, prompt: { text: 'one two', numTokens: 2 } }
    expect(ollama.body(text)).toMatchObject({ prompt: 'one two', raw: true, options: { num_predict: 5 } })
    expect(openAi.body(text)).toMatchObject({ prompt: 'one two', user: 'some one' })
  })

  it('tell who asks where the server listens', () => {
    expect(switchyard.headers(ask)).toEqual({
      'x-switchyard-tenant': 'some%20one',
      'x-session-id': 'agent-1',
    })
    expect(openAi.headers(ask)).toEqual({})
    const deadline = { after: micros(2_500_000), numTurns: 3 }
    expect(switchyard.body({ ...ask, deadline })).toMatchObject({
      metadata: { deadline_ms: 2500, num_stages: 3 },
    })
  })

  it('read cached tokens wherever a server puts them', () => {
    const details = { prompt_tokens: 9, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 4 } }
    expect(vllm.read({ choices: [], usage: details })).toEqual({
      isToken: false,
      promptTokens: 9,
      outputTokens: 2,
      cachedTokens: 4,
    })
    const ended = { choices: [{ text: '', finish_reason: 'length' }], timings: { cache_n: 7 } }
    expect(openAi.read(ended)).toEqual({ isToken: false, cachedTokens: 7 })
    expect(llamaServer.read({ content: '', stop: true, timings: { cache_n: 7 } })).toEqual({
      isToken: false,
      cachedTokens: 7,
    })
  })

  it('take an event without text for a token that shows nothing yet, and the last one for none', () => {
    expect(openAi.read({ choices: [{ text: '', finish_reason: null }] })?.isToken).toBe(true)
    expect(openAi.read({ choices: [{ text: '', finish_reason: 'stop' }] })?.isToken).toBe(false)
    expect(ollama.read({ response: 'a', done: false })?.isToken).toBe(true)
    expect(ollama.read({ response: '', done: true, eval_count: 3, prompt_eval_count: 8 })).toEqual({
      isToken: false,
      promptTokens: 8,
      outputTokens: 3,
    })
  })

  it('refuse what is no event, and pass errors on', () => {
    for (const { read } of adapters) expect(read(17)).toBeUndefined()
    expect(ollama.read({ error: 'no such model' })?.error).toBe('no such model')
    expect(openAi.read({ error: 'busy' })?.error).toBe('busy')
  })
})

describe('naming a target', () => {
  it('takes a name, a kind, or a URL alone', () => {
    expect(parseTarget('ours=http://h:1/v1/')).toEqual({ name: 'ours', kind: undefined, url: 'http://h:1' })
    expect(parseTarget('peer:llama-server=http://h:2')).toMatchObject({ name: 'peer', kind: 'llama-server' })
    expect(parseTarget('http://h:3')).toEqual({ name: 'h:3', kind: undefined, url: 'http://h:3' })
  })

  it.each([
    ['x:nothing=http://h', /"nothing" is none of switchyard, vllm/],
    ['just words', /expected NAME=http/],
    ['a=ftp://h', /expected NAME=http/],
  ])('refuses %s', (text, message) => {
    expect(() => parseTarget(text)).toThrow(message)
  })
})
