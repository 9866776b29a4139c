import { afterEach, describe, expect, it } from 'vitest'
import { createRequest } from '../../test/support/generate.ts'
import { toRequestId } from '../core/units.ts'
import type { FakeExecutorOptions } from '../executor/fake-executor.ts'
import { loadEngine, type EngineHost } from './engine-host.ts'
import type { FromEngine, SequenceUpdate } from './protocol.ts'

const fake = { kind: 'fake', vocabSize: 50, maxModelLen: 200, blockSize: 4, numBlocks: 64 } as const
const scheduler = { maxNumSeqs: 8, maxNumBatchedTokens: 16, maxTbtMs: undefined, policy: 'fcfs' } as const

/** An engine and all that it says. */
class Listening {
  readonly messages: FromEngine[] = []
  readonly host: EngineHost
  readonly ended: Promise<void>
  #onMessage: () => void = () => undefined

  private constructor(host: EngineHost, messages: FromEngine[]) {
    this.host = host
    this.messages = messages
    this.ended = host.run()
    this.ended.catch(() => undefined)
  }

  static async start(changes: Partial<FakeExecutorOptions> = {}): Promise<Listening> {
    const messages: FromEngine[] = []
    const host = await loadEngine({ executor: { ...fake, ...changes }, scheduler }, (message) => {
      messages.push(message)
      listening.#onMessage()
    })
    const listening = new Listening(host, messages)
    return listening
  }

  get updates(): SequenceUpdate[] {
    return this.messages.flatMap((message) => ('updates' in message ? message.updates : []))
  }

  updateOf(id: string): SequenceUpdate | undefined {
    return this.updates.findLast((update) => update.id === id)
  }

  /** Resolves when the messages so far, or those to come, make `isTrue` true. */
  until(isTrue: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#onMessage = () => {
        if (isTrue()) resolve()
      }
      this.#onMessage()
    })
  }

  finished(...ids: string[]): Promise<void> {
    return this.until(() => ids.every((id) => this.updateOf(id)?.finish !== undefined))
  }
}

let engine: Listening | undefined
afterEach(() => engine?.host.loop.close())

async function start(changes?: Partial<FakeExecutorOptions>): Promise<EngineHost['loop']> {
  engine = await Listening.start(changes)
  return engine.host.loop
}

const request = (id: string, promptTokens: readonly number[], maxTokens = 4) =>
  createRequest({ id, promptTokens, maxTokens })

describe('the step loop', () => {
  it('ends who lost a race with the step in which the last winner finished', async () => {
    const loop = await start()
    const lengths = { a: 20, b: 6, c: 9, d: 30 }
    const race = { name: 'race', numWinners: 2 }
    const requests = Object.entries(lengths).map(([id, maxTokens], index) =>
      createRequest({ id, promptTokens: [index + 1, 2, 3], maxTokens, race, ignoreEos: true }),
    )
    loop.submit([
      ...requests,
      createRequest({ id: 'other', promptTokens: [9], maxTokens: 25, ignoreEos: true }),
    ])
    await engine!.finished('a', 'b', 'c', 'd', 'other')
    const reasonOf = (id: string) => engine!.updateOf(id)?.finish?.reason
    expect(['b', 'c', 'other'].map(reasonOf)).toEqual(['length', 'length', 'length'])
    expect(['a', 'd'].map(reasonOf)).toEqual(['cancelled', 'cancelled'])
    for (const id of ['a', 'd']) {
      const tokens = engine!.updates.filter((update) => update.id === id).flatMap(({ tokenIds }) => tokenIds)
      expect(tokens).toHaveLength(9)
      const computed = engine!
        .updateOf(id)!
        .finish!.timings.intervals.reduce((sum, each) => sum + each.numTokens, 0)
      expect(computed).toBe(3 + 9 - 1)
    }
    loop.checkInvariants()
  })

  it('says who starts before the step, and then each step in one message', async () => {
    const loop = await start()
    loop.submit([request('a', [1, 2]), request('b', [3])])
    await engine!.finished('a', 'b')
    const kinds = engine!.messages.map(({ type }) => type)
    expect(kinds).toEqual(['started', 'step', 'step', 'step', 'step'])
    expect(engine!.messages[0]).toMatchObject({ ids: ['a', 'b'] })
    expect(engine!.messages[1]).toMatchObject({ updates: [{ id: 'a' }, { id: 'b' }] })
    expect(engine!.messages.at(-1)).toMatchObject({
      stats: { step: 4, numRunning: 0, numDecodeTokens: 2, numPrefillTokens: 0, numFreeBlocks: 64 },
    })
  })

  it('lets what arrives in one turn of the event loop enter the same step', async () => {
    const loop = await start()
    for (let index = 0; index < 5; index++) loop.submit([request(`r${index}`, [index])])
    await engine!.until(() => engine!.messages.length > 0)
    expect(engine!.messages[0]).toMatchObject({ type: 'started', ids: ['r0', 'r1', 'r2', 'r3', 'r4'] })
  })

  it('cuts long prompts into steps, and reports their tokens as prefill', async () => {
    const loop = await start()
    loop.submit([
      request(
        'long',
        Array.from({ length: 40 }, () => 7),
        2,
      ),
    ])
    await engine!.finished('long')
    const steps = engine!.messages.filter((message) => message.type === 'step')
    expect(steps.map(({ stats }) => stats.numPrefillTokens)).toEqual([16, 16, 8, 0])
    expect(steps.map(({ updates }) => updates.length)).toEqual([0, 0, 1, 1])
  })

  it.each([
    ['an empty prompt', request('x', [])],
    ['a token beyond the vocabulary', request('x', [1, 50])],
    ['half a token', request('x', [1.5])],
    ['nothing to generate', request('x', [1], 0)],
  ])('refuses %s without a step', async (_, bad) => {
    const loop = await start()
    loop.submit([bad])
    await engine!.finished('x')
    expect(engine!.messages.map(({ type }) => type)).toEqual(['idle'])
    expect(engine!.updateOf('x')?.finish).toMatchObject({
      reason: 'error',
      error: { code: 'INVALID_REQUEST' },
    })
  })

  it('fails only the sequence whose logits are no numbers', async () => {
    const loop = await start({ nanToken: 13 })
    loop.submit([request('broken', [13]), request('whole', [1])])
    await engine!.finished('broken', 'whole')
    expect(engine!.updateOf('broken')?.finish?.error).toEqual({
      code: 'INTERNAL',
      message: 'the model produced NaN logits',
    })
    expect(engine!.updateOf('whole')?.finish?.reason).toBe('length')
    loop.checkInvariants()
  })

  it('rejects when the executor fails', async () => {
    const loop = await start({ brokenToken: 13 })
    loop.submit([request('r', [13])])
    await expect(engine!.ended).rejects.toThrow('no kernel for token 13')
  })

  it('frees the blocks of a cancelled sequence at the next step', async () => {
    const loop = await start()
    loop.submit([request('c', [1], 150)])
    await engine!.until(() => engine!.updates.length >= 5)
    loop.cancel([toRequestId('c'), toRequestId('nobody')])
    const numUpdates = engine!.updates.length
    await engine!.finished('c')
    expect(engine!.updateOf('c')?.finish?.reason).toBe('cancelled')
    expect(engine!.updates.length - numUpdates).toBeLessThanOrEqual(2)
    expect(engine!.messages.at(-1)).toMatchObject({ stats: { numRunning: 0, numFreeBlocks: 64 } })
    loop.checkInvariants()
  })

  it('gives each step phases that cover it', async () => {
    const loop = await start({ stepMicros: 3000 })
    const startedAt = performance.now()
    loop.submit([request('r', [1], 10)])
    await engine!.finished('r')
    const elapsed = (performance.now() - startedAt) * 1000
    const steps = engine!.messages.filter((message) => message.type === 'step')
    const covered = steps.reduce((sum, { stats: { phases } }) => {
      expect(phases.emit).toBeLessThanOrEqual(phases.compute)
      return sum + phases.schedule + phases.build + phases.compute + phases.sample
    }, 0)
    expect(covered).toBeGreaterThan(25_000)
    expect(covered).toBeLessThanOrEqual(elapsed + 100)
  })

  it('leaves what is unfinished when it is closed, and ends', async () => {
    const loop = await start()
    loop.submit([request('r', [1], 150)])
    await engine!.until(() => engine!.updates.length > 2)
    loop.close()
    await engine!.ended
    expect(engine!.updateOf('r')?.finish).toBeUndefined()
  })
})
