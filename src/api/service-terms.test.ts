import { afterEach, describe, expect, it } from 'vitest'
import { scriptedServer, type ScriptedServer } from '../../test/support/api-server.ts'
import { noLimits, type ApiKey } from '../core/tenant.ts'
import { sha256 } from './key-ring.ts'

let server: ScriptedServer

const keyOf = (secret: string, fields: Partial<ApiKey>): ApiKey => ({
  name: secret,
  sha256: sha256(secret),
  weight: 1,
  classes: [],
  limits: noLimits,
  ...fields,
})

async function ask(fields: object, headers: Record<string, string> = {}) {
  const payload = { messages: [{ role: 'user', content: 'Hi' }], ...fields }
  return server.app.inject({ method: 'POST', url: '/v1/chat/completions', payload, headers })
}

async function termsOf(fields: object, headers: Record<string, string> = {}) {
  await ask(fields, headers)
  return server.engine.requests.at(-1)
}

afterEach(async () => {
  await server.close()
  await server.engine.close()
})

describe('who asks', () => {
  it('is the user, else the safety identifier, else a header, else nobody in particular', async () => {
    server = scriptedServer('x')
    const header = { 'x-switchyard-tenant': 'header', 'x-llm-d-inference-fairness-id': 'router' }
    expect(await termsOf({ user: 'ada', safety_identifier: 's' }, header)).toMatchObject({ tenant: 'ada' })
    expect(await termsOf({ safety_identifier: 's' }, header)).toMatchObject({ tenant: 's' })
    expect(await termsOf({}, header)).toMatchObject({ tenant: 'header' })
    expect(await termsOf({}, { 'x-llm-d-inference-fairness-id': 'router' })).toMatchObject({
      tenant: 'router',
    })
    expect(await termsOf({})).toMatchObject({ tenant: 'default', weight: 1, serviceClass: 'default' })
  })

  it('is whoever the key belongs to, whatever the request says', async () => {
    server = scriptedServer('x', { apiKeys: [keyOf('one', { name: 'team', weight: 3 })] })
    const request = await termsOf({ user: 'somebody' }, { authorization: 'Bearer one' })
    expect(request).toMatchObject({ tenant: 'team', weight: 3 })
  })

  it('takes other keys from one request to the next', async () => {
    server = scriptedServer('x', { apiKeys: [keyOf('old', {})] })
    server.replaceKeys([keyOf('new', {})])
    expect((await ask({}, { authorization: 'Bearer old' })).statusCode).toBe(401)
    expect((await ask({}, { authorization: 'Bearer new' })).statusCode).toBe(200)
    server.replaceKeys([])
    expect((await ask({}, { authorization: 'Bearer new' })).statusCode).toBe(401)
  })

  it('refuses names that are too long to remember', async () => {
    server = scriptedServer('x')
    expect((await ask({}, { 'x-session-id': 'x'.repeat(513) })).statusCode).toBe(400)
    expect((await ask({ user: 'x'.repeat(513) })).statusCode).toBe(400)
  })
})

describe('the class of a request', () => {
  it('is its service tier, or the first class for auto and none', async () => {
    server = scriptedServer('x')
    expect(await termsOf({ service_tier: 'flex', priority: -3 })).toMatchObject({
      serviceClass: 'flex',
      priority: -3,
    })
    expect(await termsOf({ service_tier: 'auto' })).toMatchObject({ serviceClass: 'default', priority: 0 })
    const { statusCode, body } = await ask({ service_tier: 'gold' })
    expect(statusCode).toBe(400)
    expect(body).toContain('auto, default, priority, flex, batch')
  })

  it('is one of those that the key has', async () => {
    server = scriptedServer('x', { apiKeys: [keyOf('one', { classes: ['flex', 'batch'] })] })
    const headers = { authorization: 'Bearer one' }
    expect(await termsOf({}, headers)).toMatchObject({ serviceClass: 'flex' })
    expect(await termsOf({ service_tier: 'batch' }, headers)).toMatchObject({ serviceClass: 'batch' })
    expect((await ask({ service_tier: 'priority' }, headers)).statusCode).toBe(400)
  })
})

describe('a program', () => {
  it('is named by a header or in the metadata, and keeps the start and the deadline of its first request', async () => {
    server = scriptedServer('x')
    const metadata = { program_id: 'p', deadline_ms: '1500', num_stages: 3 }
    const first = await termsOf({ metadata })
    const second = await termsOf({ metadata }, { 'x-session-id': 'p' })
    expect(first).toMatchObject({ program: 'p', programStartedAt: first?.arrivedAt, stagesLeft: 2 })
    expect(first?.deadline).toBe((first?.arrivedAt ?? 0) + 1_500_000)
    expect(second).toMatchObject({
      programStartedAt: first?.arrivedAt,
      deadline: first?.deadline,
      stagesLeft: 1,
    })
    expect(await termsOf({ metadata, user: 'other' })).not.toMatchObject({ deadline: first?.deadline })
  })

  it('may have a deadline without a name', async () => {
    server = scriptedServer('x')
    const request = await termsOf({ metadata: { deadline_ms: 20 } })
    expect(request).toMatchObject({ program: undefined, stagesLeft: undefined })
    expect(request?.deadline).toBe((request?.arrivedAt ?? 0) + 20_000)
    expect((await ask({ metadata: { deadline_ms: 'soon' } })).statusCode).toBe(400)
  })
})

describe('a key with limits', () => {
  it('is told what is left in every answer, and when to try again in a refusal', async () => {
    const limits = { ...noLimits, requestsPerMinute: 2, tokensPerMinute: 5000 }
    server = scriptedServer('x', { apiKeys: [keyOf('one', { limits })] })
    const headers = { authorization: 'Bearer one' }
    const first = await ask({ max_tokens: 5 }, headers)
    expect(first.headers).toMatchObject({
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '1',
      'x-ratelimit-limit-tokens': '5000',
    })
    const streamed = await ask({ max_tokens: 5, stream: true }, headers)
    expect(streamed.headers).toMatchObject({ 'x-ratelimit-remaining-requests': '0' })
    expect(streamed.headers['x-request-id']).toBeDefined()
    const refused = await ask({}, headers)
    expect(refused.statusCode).toBe(429)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(25)
    expect(refused.json()).toMatchObject({
      error: { type: 'rate_limit_error', code: 'rate_limit_exceeded' },
    })
  })

  it('may have so many requests under way, and gets their places back when clients go', async () => {
    const limits = { ...noLimits, maxRequests: 2 }
    server = scriptedServer('x', { apiKeys: [keyOf('one', { limits })] })
    const headers = { authorization: 'Bearer one' }
    server.engine.pause()
    const pending = ask({ n: 2 }, headers)
    while (server.engine.numLive < 2) await new Promise((resolve) => setImmediate(resolve))
    const refused = await ask({}, headers)
    expect(refused.statusCode).toBe(429)
    expect(refused.json()).toMatchObject({ error: { code: 'queue_full' } })
    expect(refused.headers['retry-after']).toBe('1')
    server.engine.resume()
    expect((await pending).statusCode).toBe(200)
    const again = await ask({ n: 2 }, headers)
    expect(again.json()).toMatchObject({ choices: [{}, {}] })
  })
})
