import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRequest } from '../../test/support/generate.ts'
import { micros, toRequestId } from '../core/units.ts'
import { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import { policies } from './policies/index.ts'
import type { SchedulerConfig } from './scheduler-config.ts'
import type { SequenceResult } from './finished-step.ts'
import { Scheduler } from './scheduler.ts'
import type { StepPlan } from './step-plan.ts'

const endToken = 99

function createScheduler(changes: Partial<SchedulerConfig> & { numBlocks?: number } = {}) {
  const { numBlocks = 64, ...config } = changes
  const kv = new KvCacheManager({ numBlocks, blockSize: 4 })
  const scheduler = new Scheduler(
    {
      maxNumSeqs: 8,
      maxNumBatchedTokens: 32,
      maxModelLen: 100,
      maxTbtMicros: undefined,
      endTokenIds: [endToken],
      ...config,
    },
    kv,
    policies.fcfs(),
  )
  return { scheduler, kv }
}

let clock = 0
const now = () => micros(++clock)
const request = (id: string, numPrompt: number, maxTokens: number) =>
  createRequest({
    id,
    promptTokens: Array.from({ length: numPrompt }, (_, index) => (id.charCodeAt(0) * 7 + index * 3) % 90),
    maxTokens,
    arrivedAt: now(),
  })

/** The next token as a function of all before it, so that a lost or repeated one shows. */
function nextToken(tokens: readonly number[]): number {
  return tokens.reduce((hash, token) => (hash * 31 + token + 7) % 97, 5)
}

/** Samples for a plan, keeping the tokens each sequence has computed as an executor would. */
class Model {
  readonly #computed = new Map<number, number[]>()

  sample(plan: StepPlan): (number | undefined)[] {
    return plan.entries.map(({ sequenceId, tokens, position, samples }) => {
      const seen = [...(this.#computed.get(sequenceId) ?? []).slice(0, position), ...tokens]
      expect(seen.length, 'positions follow each other').toBe(position + tokens.length)
      this.#computed.set(sequenceId, seen)
      return samples ? nextToken(seen) : undefined
    })
  }
}

function runStep(scheduler: Scheduler, model: Model): readonly SequenceResult[] | undefined {
  const plan = scheduler.schedule(now())
  if (plan === undefined) return undefined
  return scheduler.update(plan, model.sample(plan), now(), 1000)
}

describe('the scheduler', () => {
  it('lets decodes go first and gives prompts what is left of the budget', () => {
    const { scheduler } = createScheduler({ maxNumBatchedTokens: 10 })
    const model = new Model()
    scheduler.add(request('a', 4, 20))
    runStep(scheduler, model)
    scheduler.add(request('b', 30, 20))

    const plan = scheduler.schedule(now())

    expect(plan?.entries.map(({ requestId, tokens }) => [requestId, tokens.length])).toEqual([
      ['a', 1],
      ['b', 9],
    ])
  })

  it('samples only where a chunk reaches the last token', () => {
    const { scheduler } = createScheduler({ maxNumBatchedTokens: 10 })
    scheduler.add(request('a', 15, 5))
    const plan = scheduler.schedule(now())
    expect(plan?.entries[0]?.samples).toBe(false)
  })

  it('sends the last admitted back when blocks run out, keeps its tokens, and finishes it later', () => {
    const { scheduler } = createScheduler({ numBlocks: 16 })
    const model = new Model()
    scheduler.add(request('a', 8, 40))
    scheduler.add(request('b', 8, 40))
    const done: string[] = []
    for (let step = 0; step < 200; step++) {
      for (const { sequence, finish } of runStep(scheduler, model) ?? []) {
        if (finish !== undefined) done.push(`${sequence.request.id} ${sequence.numPreemptions > 0}`)
      }
    }
    expect(done).toEqual(['a false', 'b true'])
  })

  it('ends a sequence at a stop token and at its limit', () => {
    const { scheduler } = createScheduler()
    scheduler.add(request('a', 3, 1))
    const plan = scheduler.schedule(now()) as StepPlan
    expect(scheduler.update(plan, [5], now(), undefined)[0]?.finish).toBe('length')
    scheduler.add(request('b', 3, 9))
    const second = scheduler.schedule(now()) as StepPlan
    expect(scheduler.update(second, [endToken], now(), undefined)[0]?.finish).toBe('stop')
  })

  it('ends a running sequence that is cancelled in flight with the step, a waiting one at once', () => {
    const { scheduler, kv } = createScheduler({ maxNumSeqs: 1 })
    scheduler.add(request('a', 3, 9))
    scheduler.add(request('b', 3, 9))
    const plan = scheduler.schedule(now()) as StepPlan
    scheduler.cancel(toRequestId('a'))
    scheduler.cancel(toRequestId('b'))
    expect(scheduler.takeFinished().map(({ sequence }) => sequence.request.id)).toEqual(['b'])
    expect(kv.numAvailableBlocks).toBeLessThan(64)
    expect(scheduler.update(plan, [1], now(), undefined)[0]?.finish).toBe('cancelled')
    expect(kv.numAvailableBlocks).toBe(64)
  })

  it('refuses what can never fit and says by how much', () => {
    const { scheduler } = createScheduler({ numBlocks: 4 })
    const admission = scheduler.add(request('a', 20, 1))
    expect(admission).toMatchObject({
      kind: 'rejected',
      message: expect.stringContaining('5 tokens too long'),
    })
  })

  it('keeps a prompt moving even when the decodes alone break the target', () => {
    const { scheduler } = createScheduler({ maxTbtMicros: 1 })
    const model = new Model()
    scheduler.add(request('a', 4, 90))
    for (let step = 0; step < 20; step++) runStep(scheduler, model)
    scheduler.add(request('b', 60, 2))
    let finished = false
    for (let step = 0; step < 20; step++) {
      finished ||= (runStep(scheduler, model) ?? []).some(
        ({ sequence, finish }) => sequence.request.id === 'b' && finish,
      )
    }
    expect(finished).toBe(true)
  })
})

describe('for any arrivals, cancels, budgets and pools', () => {
  const arrival = fc.record({
    numPrompt: fc.integer({ min: 1, max: 40 }),
    maxTokens: fc.integer({ min: 1, max: 30 }),
    atStep: fc.integer({ min: 0, max: 60 }),
    cancelAfter: fc.option(fc.integer({ min: 0, max: 40 }), { nil: undefined }),
  })

  it('every request ends once, with the tokens it gets alone, in any order of chunks and preemptions', () => {
    fc.assert(
      fc.property(
        fc.array(arrival, { minLength: 1, maxLength: 25 }),
        fc.integer({ min: 18, max: 60 }),
        fc.integer({ min: 2, max: 40 }),
        fc.integer({ min: 1, max: 9 }),
        (arrivals, numBlocks, maxNumBatchedTokens, maxNumSeqs) => {
          const { scheduler, kv } = createScheduler({ numBlocks, maxNumBatchedTokens, maxNumSeqs })
          const model = new Model()
          const ended = new Map<string, SequenceResult>()
          const cancels: { id: string; step: number }[] = []
          for (let step = 0; step < 4000; step++) {
            arrivals.forEach(({ numPrompt, maxTokens, atStep, cancelAfter }, index) => {
              if (atStep !== step) return
              scheduler.add({ ...request('p', numPrompt, maxTokens), id: toRequestId(`${index}`) })
              if (cancelAfter !== undefined) cancels.push({ id: `${index}`, step: step + cancelAfter })
            })
            const plan = scheduler.schedule(now())
            for (const cancel of cancels) if (cancel.step === step) scheduler.cancel(toRequestId(cancel.id))
            const results = [...scheduler.takeFinished()]
            if (plan !== undefined) {
              expect(plan.numTokens).toBeLessThanOrEqual(maxNumBatchedTokens)
              expect(plan.entries.length).toBeLessThanOrEqual(maxNumSeqs)
              results.push(...scheduler.update(plan, model.sample(plan), now(), 1000))
            }
            for (const result of results) {
              if (result.finish === undefined) continue
              expect(ended.has(result.sequence.request.id), 'ends once').toBe(false)
              ended.set(result.sequence.request.id, result)
            }
            scheduler.checkInvariants()
            if (plan === undefined && step > 60) break
          }
          expect(ended.size).toBe(arrivals.length)
          expect(kv.numAvailableBlocks).toBe(numBlocks)
          for (const { sequence, finish } of ended.values()) {
            if (finish === 'cancelled') continue
            const expected = [...sequence.request.promptTokens.slice(0)]
            while (expected.length < sequence.tokens.length) expected.push(nextToken(expected))
            expect(sequence.tokens).toEqual(expected)
            expect(finish).toBe('length')
          }
        },
      ),
      { numRuns: 150 },
    )
  })
})
