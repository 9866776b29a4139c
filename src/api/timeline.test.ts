import { afterEach, expect, it } from 'vitest'
import { scriptedServer, type ScriptedServer } from '../../test/support/api-server.ts'
import { sharedKey, type ApiKey } from '../core/tenant.ts'
import { sha256 } from './key-ring.ts'

let server: ScriptedServer

const ask = (fields: object, headers: Record<string, string> = {}) =>
  server.app.inject({ method: 'POST', url: '/v1/completions', payload: { prompt: 'Hi', ...fields }, headers })
const timeline = (id: unknown, headers: Record<string, string> = {}) =>
  server.app.inject({ url: `/v1/requests/${String(id)}/timeline`, headers })

afterEach(async () => {
  await server.close()
  await server.engine.close()
})

it('tells of each choice where its time went, after an answer and after a stream', async () => {
  server = scriptedServer('Hello')
  for (const stream of [false, true]) {
    const { headers } = await ask({ n: 2, stream, user: 'ada', service_tier: 'flex' })
    const response = await timeline(headers['x-request-id'])
    expect(response.statusCode).toBe(200)
    const { choices, ...rest } = response.json()
    expect(rest).toMatchObject({ tenant: 'ada', service_tier: 'flex', program: null, status: 'finished' })
    expect(choices).toHaveLength(2)
    for (const choice of choices) {
      expect(choice).toMatchObject({
        finish_reason: 'stop',
        prompt_tokens: { cached: 2 },
        completion_tokens: 6,
        intervals: [{ kind: 'decode', start_ms: 0, steps: 1, waited_for_ms: { places: 0.005 } }],
      })
    }
  }
})

it('does not know what was never asked', async () => {
  server = scriptedServer('Hello')
  const { statusCode, body } = await timeline('no-such-request')
  expect(statusCode).toBe(404)
  expect(body).toContain('x-request-id')
})

it('forgets all but the last requests', async () => {
  server = scriptedServer('x', { maxTimelines: 2 })
  const ids: unknown[] = []
  for (let count = 0; count < 3; count += 1) ids.push((await ask({})).headers['x-request-id'])
  const statuses = await Promise.all(ids.map(async (id) => (await timeline(id)).statusCode))
  expect(statuses).toEqual([404, 200, 200])
})

it('shows a key the requests of its own tenant only', async () => {
  const keyOf = (name: string): ApiKey => ({ ...sharedKey(sha256(name)), name })
  server = scriptedServer('x', { apiKeys: [keyOf('one'), keyOf('two')] })
  const { headers } = await ask({}, { authorization: 'Bearer one' })
  const statusFor = async (name: string) =>
    (await timeline(headers['x-request-id'], { authorization: `Bearer ${name}` })).statusCode
  expect(await statusFor('one')).toBe(200)
  expect(await statusFor('two')).toBe(404)
  expect(await statusFor('three')).toBe(401)
})
