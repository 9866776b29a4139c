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
})

function comeBack(of: Pick<Arrival, 'atStep' | 'promptTokens' | 'tenant'>): Arrival {
  return {
    ...of,
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
  }
}
