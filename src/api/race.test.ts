import { afterEach, describe, expect, it } from 'vitest'
import { scriptedServer, type ScriptedServer } from '../../test/support/api-server.ts'

let server: ScriptedServer

const chat = (fields: object) =>
  server.app.inject({
    method: 'POST',
    url: '/v1/chat/completions',
    payload: { messages: [{ role: 'user', content: 'Hi' }], ...fields },
  })
const complete = (fields: object) =>
  server.app.inject({ method: 'POST', url: '/v1/completions', payload: { prompt: 'Hi', ...fields } })

/** Sample k says its number, k, and needs as many tokens as `lengths[k]` says. */
function raceOf(lengths: readonly number[]): void {
  let sample = 0
  server = scriptedServer(() => {
    const text = `${sample}`.repeat(lengths[sample++]!)
    return [...Buffer.from(text), 257]
  })
}

afterEach(async () => {
  await server.engine.idle()
  await server.close()
  await server.engine.close()
})

describe('race', () => {
  it('gives back the first to finish, in that order, and cancels the others', async () => {
    raceOf([9, 2, 40, 4])
    const { choices } = (await chat({ n: 4, race: 2, seed: 1 })).json()
    const texts = choices.map((choice: { message: { content: string } }) => choice.message.content)
    expect(texts).toEqual(['11', '3333'])
    expect(choices.map(({ index }: { index: number }) => index)).toEqual([0, 1])
    await server.engine.idle()
    expect(server.engine.numCancelled).toBe(2)
    const races = server.engine.requests.map(({ race }) => race)
    expect(races[0]).toMatchObject({ numWinners: 2 })
    expect(new Set(races.map((race) => race?.name)).size).toBe(1)
  })

  it('streams each winner whole when it has won, and nothing of the others', async () => {
    raceOf([9, 2, 40, 4])
    const { body } = await chat({ n: 4, race: 2, seed: 1, stream: true })
    const texts = ['', '']
    const ends: unknown[] = []
    for (const line of body.split('\n')) {
      if (!line.startsWith('data: {')) continue
      for (const { index, delta, finish_reason: reason } of JSON.parse(line.slice(6)).choices) {
        texts[index] += delta.content ?? ''
        if (reason !== null) ends.push([index, reason])
      }
    }
    expect(texts).toEqual(['11', '3333'])
    expect(ends).toEqual([
      [0, 'stop'],
      [1, 'stop'],
    ])
    expect(body.trimEnd().endsWith('data: [DONE]')).toBe(true)
    await server.engine.idle()
    expect(server.engine.numCancelled).toBe(2)
  })

  it('needs enough samples and one prompt', async () => {
    raceOf([1, 1])
    expect((await chat({ n: 2, race: 3 })).statusCode).toBe(400)
    expect((await complete({ prompt: ['a', 'b'], race: 1 })).statusCode).toBe(400)
    expect(server.engine.requests).toEqual([])
  })
})

describe('best_of', () => {
  it('gives back the likeliest of all samples, with logprobs only if they were asked for', async () => {
    raceOf([3, 2, 1])
    const response = await complete({ best_of: 3, n: 2 })
    const { choices, usage } = response.json()
    expect(choices).toHaveLength(2)
    expect(choices[0]).toMatchObject({ index: 0, logprobs: null })
    expect(usage.completion_tokens).toBe(4 + 3 + 2)
    expect(server.engine.requests.map(({ sampling }) => sampling.topLogprobs)).toEqual([0, 0, 0])
    expect(server.engine.numCancelled).toBe(0)
  })

  it('cannot be smaller than n, streamed, or raced', async () => {
    raceOf([1])
    for (const fields of [{ n: 2 }, { stream: true }, { race: 1 }, { prompt: ['a', 'b'] }]) {
      const { statusCode } = await complete({ best_of: 1, ...fields })
      expect(statusCode).toBe(400)
    }
  })
})
