import { describe, expect, it } from 'vitest'
import { createRequest } from '../../test/support/generate.ts'
import { micros, toRequestId } from '../core/units.ts'
import { evictionPolicies } from '../kvcache/eviction/index.ts'
import { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import { policies } from './policies/index.ts'
import { Scheduler } from './scheduler.ts'
import type { StepPlan } from './step-plan.ts'

const trunk = Array.from({ length: 40 }, (_, index) => index)

function createScheduler(numBlocks = 64) {
  const kv = new KvCacheManager({ numBlocks, blockSize: 4 }, { eviction: evictionPolicies.value(), seed: 1 })
  const limits = { maxNumSeqs: 8, maxNumBatchedTokens: 16, maxModelLen: 100, growthHeadroom: 0 }
  const config = { ...limits, maxTbtMicros: undefined, endTokenIds: [] }
  const scheduler = new Scheduler(config, kv, policies.fcfs())
  const add = (id: string, promptTokens: readonly number[], cacheSalt?: string) =>
    scheduler.add(createRequest({ id, promptTokens, cacheSalt, maxTokens: 9, arrivedAt: micros(1) }))
  /** Who computed how many tokens in the next step. */
  const step = (sampled: 'failed' | number = 7): Record<string, number> => {
    const plan = scheduler.schedule(micros(1)) as StepPlan
    const tokens = plan.entries.map(({ samples }) => (samples ? sampled : undefined))
    scheduler.update(plan, tokens, micros(1), undefined)
    scheduler.checkInvariants()
    return Object.fromEntries(plan.entries.map(({ requestId, tokens: { length } }) => [requestId, length]))
  }
  return { scheduler, kv, add, step }
}

describe('sequences that begin alike', () => {
  it('wait for the one that computes the beginning, and then compute the rest', () => {
    const { add, step } = createScheduler()
    add('first', [...trunk, 50, 51])
    add('second', [...trunk, 60, 61])
    add('third', [...trunk, 60, 61])
    expect(step()).toEqual({ first: 16 })
    expect(step()).toEqual({ first: 16 })
    // The second finds the first 32 tokens, and the block that is being computed is not worth two steps less.
    expect(step()).toEqual({ first: 10 })
    expect(step()).toEqual({ first: 1, second: 2, third: 2 })
  })

  it('find what one that still runs has computed and generated', () => {
    const { scheduler, add, step } = createScheduler()
    add('first', trunk)
    for (let count = 0; count < 7; count += 1) step()
    const admission = add('second', [...trunk, 7, 7, 7, 7, 8, 8, 8, 8])
    expect(step()).toEqual({ first: 1, second: 4 })
    expect(admission).toMatchObject({ sequence: { numCachedTokens: 44 } })
    expect(scheduler.numRunning).toBe(2)
  })

  it('go on alone when the one ahead is cancelled', () => {
    const { scheduler, add, step } = createScheduler()
    add('first', [...trunk, 50])
    add('second', [...trunk, 60])
    step()
    scheduler.cancel(toRequestId('first'))
    expect(step()).toEqual({ second: 16 })
  })

  it('have nothing to do with one another under different salts', () => {
    const { add, step } = createScheduler()
    const admissions = [add('a', trunk), add('b', trunk, 'salt'), add('c', trunk, 'pepper')]
    for (let count = 0; count < 8; count += 1) step()
    for (const admission of admissions) expect(admission).toMatchObject({ sequence: { numCachedTokens: 0 } })
  })

  it('do not find what led to logits that are no numbers', () => {
    const { add, step } = createScheduler()
    add('first', trunk)
    step()
    step()
    step('failed')
    const admission = add('second', trunk)
    step()
    expect(admission).toMatchObject({ sequence: { numCachedTokens: 0 } })
  })
})

it('a preempted sequence finds its own blocks when it comes back', () => {
  const { scheduler, kv, add, step } = createScheduler(23)
  add('first', trunk)
  add('second', [90, ...trunk])
  let numSteps = 0
  while (!scheduler.isIdle) {
    step()
    numSteps += 1
    expect(numSteps).toBeLessThan(40)
  }
  expect(scheduler.numPreemptionsTotal).toBeGreaterThan(0)
  const { numResumedTokens, numResumedHitTokens } = kv.stats
  expect(numResumedHitTokens).toBeGreaterThan(0.7 * numResumedTokens)
})
