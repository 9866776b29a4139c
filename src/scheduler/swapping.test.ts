import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  requestOf,
  scenarios,
  SchedulerRun,
  servedAlone,
  tierScenarios,
} from '../../test/support/scheduler-run.ts'
import { policies } from './policies/index.ts'

const swapping = fc
  .tuple(scenarios, tierScenarios, fc.integer({ min: 8, max: 20 }))
  .map(([scenario, tiers, numBlocks]) => ({
    ...scenario,
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
          const run = new SchedulerRun(scenario, policies.fcfs())
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
})
