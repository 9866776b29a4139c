import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { requestOf, scenarios, SchedulerRun, servedAlone } from '../../../test/support/scheduler-run.ts'
import { runVirtually, type VirtualRequest, type VirtualResult } from '../../../test/support/virtual-run.ts'
import { serviceClass } from '../../core/service-class.ts'
import { micros } from '../../core/units.ts'
import type { SchedulingPolicy } from '../policy.ts'
import { fairSloProgram } from './fair-slo-program.ts'
import { slo } from './slo.ts'

const second = 1_000_000

/** As if it had no such rule. */
function withoutStandingBack(policy: SchedulingPolicy): SchedulingPolicy {
  const { pickLater: _, ...rest } = policy
  return rest
}

describe.each([
  ['slo', slo],
  ['fair+slo+program', fairSloProgram],
])('under %s', (_, createPolicy) => {
  // On the virtual machine a step of 60 streams takes 32 ms, and 100 prompt tokens 25 ms more.
  const serviceClasses = [
    serviceClass('chat', { ttftMs: 150, tbtMs: 40, weight: 8, yields: false }),
    serviceClass('batch', { ttftMs: 600_000, tbtMs: undefined, weight: 1, yields: true }),
  ]
  const batch = Array.from({ length: 60 }, (_, index): VirtualRequest => {
    return { at: micros(index), numPrompt: 20, numOutput: 500, serviceClass: 'batch' }
  })
  const chats = Array.from({ length: 60 }, (_, index): VirtualRequest => {
    const at = micros((2 + index * 0.4) * second)
    return { at, numPrompt: 150, numOutput: 30, serviceClass: 'chat' }
  })
  const serve = (policy: SchedulingPolicy): readonly VirtualResult[] =>
    runVirtually(policy, [...batch, ...chats])
  const ofClass = (results: readonly VirtualResult[], name: string): VirtualResult[] =>
    results.filter(({ request }) => request.serviceClass === name)
  const longestGap = (results: readonly VirtualResult[], name: string): number =>
    Math.max(...ofClass(results, name).map((each) => each.longestGap))
  const numInTime = (results: readonly VirtualResult[]): number =>
    ofClass(results, 'chat').filter(({ request, firstTokenAt }) => firstTokenAt - request.at <= 150_000)
      .length

  it('streams that can wait stand back for first tokens that are due, and lose little', () => {
    const policies = [createPolicy({ serviceClasses }), withoutStandingBack(createPolicy({ serviceClasses }))]
    const [standingBack, streamsFirst] = policies.map(serve) as [VirtualResult[], VirtualResult[]]
    expect(numInTime(standingBack)).toBeGreaterThan(2 * numInTime(streamsFirst))
    expect(longestGap(standingBack, 'chat')).toBeLessThan(45_000)
    const lastEnd = (results: readonly VirtualResult[]): number =>
      Math.max(...ofClass(results, 'batch').map(({ finishedAt }) => finishedAt))
    expect(lastEnd(standingBack)).toBeLessThan(1.05 * lastEnd(streamsFirst))
  })

  it('nobody misses more than 15 steps in a row, however many prompts are due', () => {
    const load = fc.record({
      numBatch: fc.integer({ min: 1, max: 60 }),
      every: fc.double({ min: 0.02, max: 0.2, noNaN: true }),
      numPrompt: fc.integer({ min: 50, max: 600 }),
    })
    let mostMissed = 0
    fc.assert(
      fc.property(load, ({ numBatch, every, numPrompt }) => {
        const policy = createPolicy({ serviceClasses })
        const watched: SchedulingPolicy = {
          ...policy,
          pickLater(running, next, outlook) {
            for (const { numStepsMissed } of running) mostMissed = Math.max(mostMissed, numStepsMissed)
            return policy.pickLater!(running, next, outlook)
          },
        }
        const urgent = Array.from({ length: 100 }, (_, index): VirtualRequest => {
          const at = micros((1 + index * every) * second)
          return { at, numPrompt, numOutput: 30, serviceClass: 'chat' }
        })
        runVirtually(watched, [...batch.slice(0, numBatch), ...urgent])
        expect(mostMissed).toBeLessThanOrEqual(15)
      }),
      { numRuns: 10 },
    )
    expect(mostMissed, 'the loads are heavy enough').toBeGreaterThan(8)
  })

  it('every request gets the tokens it gets alone, whoever stands back', () => {
    // A step takes 0.5 ms and 0.1 ms a token here.
    const tight = [
      serviceClass('default', { ttftMs: 1, tbtMs: undefined, weight: 4, yields: false }),
      serviceClass('priority', { ttftMs: 0.004, tbtMs: 1.4, weight: 8, yields: false }),
      serviceClass('flex', { ttftMs: 0.02, tbtMs: undefined, weight: 2, yields: true }),
      serviceClass('batch', { ttftMs: 1, tbtMs: undefined, weight: 1, yields: true }),
    ]
    let numLater = 0
    fc.assert(
      fc.property(scenarios, (scenario) => {
        const policy = createPolicy({ serviceClasses: tight })
        const watched: SchedulingPolicy = {
          ...policy,
          pickLater(running, next, outlook) {
            const later = policy.pickLater!(running, next, outlook)
            numLater += later.length
            return later
          },
        }
        const run = new SchedulerRun(scenario, watched)
        run.toEnd()
        for (const [index, arrival] of scenario.arrivals.entries()) {
          const request = requestOf(index, arrival)
          const { finish, sequence } = run.ended.get(request.id)!
          const { tokens } = servedAlone(request, scenario.numBlocks)
          const expected = finish === 'cancelled' ? tokens.slice(0, sequence.tokens.length) : tokens
          expect(sequence.tokens).toEqual(expected)
        }
      }),
      { numRuns: 60 },
    )
    expect(numLater).toBeGreaterThan(0)
  })
})
