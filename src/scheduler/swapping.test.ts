import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  requestOf,
  scenarios,
  SchedulerRun,
  servedAlone,
  tierScenarios,
  type Arrival,
} from '../../test/support/scheduler-run.ts'
import { policies, policyNames } from './policies/index.ts'

const swapping = fc
  .tuple(scenarios, tierScenarios, fc.integer({ min: 8, max: 20 }), fc.constantFrom(...policyNames))
  .map(([scenario, tiers, numBlocks, policy]) => ({
    ...scenario,
    policy,
    tiers,
    numBlocks,
    eviction: scenario.eviction ?? 'value',
  }))

const numRuns = Number(process.env['SWITCHYARD_SWAP_RUNS'] ?? 150)

describe('swapping', () => {
  it(
    'gives every request the tokens it gets alone, whatever fails below the pool',
    { timeout: 600_000 },
    () => {
      const seen = { resumed: 0, prefixed: 0, failedReads: 0, failedWrites: 0, clean: 0 }
      fc.assert(
        fc.property(swapping, (scenario) => {
          const run = new SchedulerRun(scenario, policies[scenario.policy]())
          run.toEnd()
          for (const [index, arrival] of scenario.arrivals.entries()) {
            const request = requestOf(index, arrival)
            const { finish, sequence } = run.ended.get(request.id)!
            const alone = servedAlone(request, scenario.numBlocks)
            if (finish === 'cancelled') {
              expect(alone.tokens.slice(0, sequence.tokens.length)).toEqual(sequence.tokens)
            } else expect(sequence.tokens).toEqual(alone.tokens)
          }
          const stats = run.swapStats!
          seen.resumed += stats.movedBytes.resume
          seen.prefixed += stats.movedBytes.prefix
          seen.failedReads += stats.numFailedReads
          seen.failedWrites += stats.numFailedWrites
          seen.clean += stats.numClean
        }),
        { numRuns, endOnFailure: true },
      )
      for (const [name, count] of Object.entries(seen)) expect(count, name).toBeGreaterThan(0)
    },
  )

  it.each(policyNames)(
    'serves tenants who all come back at once, to blocks that have no room together: %s',
    (policy) => {
      const numTenants = 8
      const histories = Array.from({ length: numTenants }, (_, who) =>
        Array.from({ length: 56 }, (_, index) => (index * 7 + who * 11) % 90),
      )
      const arrivals = [0, 200].flatMap((atStep) =>
        histories.map((promptTokens, who) => comeBack({ atStep, promptTokens, tenant: `tenant ${who}` })),
      )
      const run = new SchedulerRun(
        {
          arrivals,
          numBlocks: 40,
          maxNumSeqs: 8,
          maxNumBatchedTokens: 32,
          maxTbtMicros: undefined,
          growthHeadroom: undefined,
          eviction: 'value',
          tiers: { numSlots: [200], keepsLast: false, seed: 1, writing: 0, reading: 0, mostSteps: 4 },
        },
        policies[policy](),
      )
      run.toEnd()
      const { tiers, movedBytes } = run.swapStats!
      expect(movedBytes.prefix).toBeGreaterThan(0)
      // Each has 13 full blocks to read: nobody's are pushed out again before they are used.
      expect(tiers[0]!.numBlocksRead).toBeLessThan(1.5 * 13 * numTenants)
    },
  )

  it('admits whom others gave way to once its blocks are there, before they are back in its place', () => {
    const trunk = [7, 3, 2, 34, 78, 24]
    const long = [...trunk, 45, 25, 94, 11, 38, 83, 4, 68]
    const [a, b] = [{ tenant: 'a' }, { tenant: 'b' }]
    const flex = { ...b, atStep: 5, serviceClass: 'flex', maxTokens: 5, priority: 1 }
    const flexes = Array.from({ length: 3 }, () => ({
      ...flex,
      promptTokens: [...trunk, 23, 37, 77, 26, 37],
    }))
    const stops = { ignoreEos: false }
    const twin = { ...a, ...stops, atStep: 18, serviceClass: 'flex', maxTokens: 73 }
    const twins = Array.from({ length: 2 }, () => ({ ...twin, promptTokens: [23, 18, 9, 23, 71] }))
    const batch = { ...b, serviceClass: 'batch', numRecovered: 1 }
    const arrivals = [
      { ...b, ...stops, atStep: 15, maxTokens: 7, priority: 1, promptTokens: [38, 49, 63, 24, 22, 17] },
      ...twins,
      { ...batch, atStep: 35, maxTokens: 40, promptTokens: [...long, 16, 57, 64] },
      { ...a, atStep: 15, maxTokens: 86, numRecovered: 7, promptTokens: [3, 43, 67, 25] },
      { ...a, atStep: 12, maxTokens: 80, promptTokens: [...long, 24, 33, 29, 81, 54, 67, 49, 79, 78, 32] },
      {
        ...b,
        ...stops,
        atStep: 9,
        maxTokens: 3,
        serviceClass: 'priority',
        promptTokens: [35, 75, 32, 29, 56],
      },
      { ...batch, ...stops, atStep: 13, maxTokens: 9, priority: 1, promptTokens: [76, 19] },
      ...flexes,
    ].map((fields) => comeBack(fields))
    const scenario = {
      arrivals,
      numBlocks: 10,
      maxNumSeqs: 4,
      maxNumBatchedTokens: 3,
      maxTbtMicros: undefined,
      growthHeadroom: 0,
      eviction: 'value',
      tiers: { numSlots: [200], keepsLast: false, seed: 2039516487, writing: 0, reading: 0, mostSteps: 1 },
    } as const
    const run = new SchedulerRun(scenario, policies.slo())
    run.toEnd()
    expect(run.ended.size).toBe(arrivals.length)
  })
})

function comeBack(of: Pick<Arrival, 'atStep' | 'promptTokens' | 'tenant'> & Partial<Arrival>): Arrival {
  return {
    numRecovered: 0,
    maxTokens: 6,
    ignoreEos: true,
    program: undefined,
    serviceClass: 'default',
    priority: 0,
    deadlineAfter: undefined,
    cacheSalt: undefined,
    cancelAfter: undefined,
    cancelInFlight: false,
    ...of,
  }
}
