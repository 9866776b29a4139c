/** What every scheduling policy must keep, whatever it prefers. The suite runs on each entry of the registry. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createRequest } from '../../../test/support/generate.ts'
import {
  requestOf,
  scenarios,
  SchedulerRun,
  servedAlone,
  type Scenario,
} from '../../../test/support/scheduler-run.ts'
import { micros, toSequenceId } from '../../core/units.ts'
import type { SchedulingPolicy } from '../policy.ts'
import type { SequenceView } from '../sequence.ts'

interface ViewFields {
  readonly arrivedAt: number
  readonly tenant: string
  readonly numOutputTokens: number
  readonly ran: boolean
}

/** Frozen, so that a policy that changes one fails. */
function viewOf({ arrivedAt, tenant, numOutputTokens, ran }: ViewFields, index: number): SequenceView {
  const request = createRequest({
    id: `${index}`,
    promptTokens: [1, 2],
    tenant,
    arrivedAt: micros(arrivedAt),
  })
  return Object.freeze({
    id: toSequenceId(index),
    request: Object.freeze(request),
    status: ran ? 'preempted' : 'waiting',
    tokens: Object.freeze([1, 2, ...Array.from({ length: numOutputTokens }, () => 3)]),
    numOutputTokens,
    numComputedTokens: 0,
    numPreemptions: Number(ran),
    firstScheduledAt: undefined,
    firstTokenAt: undefined,
  })
}

const viewFields = fc.record({
  arrivedAt: fc.nat(5),
  tenant: fc.constantFrom('a', 'b', 'c'),
  numOutputTokens: fc.nat(3),
  ran: fc.boolean(),
})
const views = fc.array(viewFields, { minLength: 1, maxLength: 8 }).map((fields) => fields.map(viewOf))

/** Declares the tests of one policy; call inside `describe`. `numRuns`: random loads to serve. */
export function describePolicyContract(createPolicy: () => SchedulingPolicy, numRuns: number): void {
  it('orders waiting sequences without contradicting itself', () => {
    fc.assert(
      fc.property(views, (sequences) => {
        const policy = createPolicy()
        const order = (a: SequenceView, b: SequenceView) => Math.sign(policy.compareWaiting(a, b))
        for (const a of sequences) {
          for (const b of sequences) {
            expect(order(a, b) + order(b, a)).toBe(0)
            const behind = sequences.filter((c) => order(a, b) <= 0 && order(b, c) <= 0)
            for (const c of behind) expect(order(a, c)).toBeLessThanOrEqual(0)
          }
        }
      }),
    )
  })

  it('picks a victim among the running ones, the same among the same', () => {
    fc.assert(
      fc.property(views, (running) => {
        const victim = createPolicy().pickVictim(Object.freeze(running))
        if (victim) expect(running).toContain(victim)
        expect(createPolicy().pickVictim(running)).toBe(victim)
      }),
    )
  })

  it('lets every request finish, with exactly the tokens it gets alone, whatever happens around it', () => {
    let numPreemptions = 0
    fc.assert(
      fc.property(scenarios, (scenario) => {
        numPreemptions += serveAndCompare(scenario, createPolicy())
      }),
      { numRuns },
    )
    expect(numPreemptions, 'the loads are heavy enough to preempt').toBeGreaterThan(0)
  })

  it('plans the same steps when the same things happen again', () => {
    fc.assert(
      fc.property(scenarios, (scenario) => {
        const [first, second] = [0, 1].map(() => {
          const run = new SchedulerRun(scenario, createPolicy())
          run.toEnd()
          return run.plans
        })
        expect(first).toEqual(second)
      }),
      { numRuns: 10 },
    )
  })
}

/** Returns the number of preemptions. */
function serveAndCompare(scenario: Scenario, policy: SchedulingPolicy): number {
  const run = new SchedulerRun(scenario, policy)
  run.toEnd()
  for (const [index, arrival] of scenario.arrivals.entries()) {
    const request = requestOf(index, arrival)
    const { finish, sequence } = run.ended.get(request.id)!
    const alone = servedAlone(request, scenario.numBlocks)
    const numBefore = request.promptTokens.length + request.outputTokens.length
    expect(sequence.tokens.slice(numBefore)).toEqual(run.generatedBy(request.id))
    if (finish === 'cancelled') {
      expect(arrival.cancelAfter).toBeDefined()
      expect(alone.tokens.slice(0, sequence.tokens.length)).toEqual(sequence.tokens)
    } else {
      expect(sequence.tokens).toEqual(alone.tokens)
      expect(finish).toBe(alone.reason)
    }
  }
  return run.numPreemptions
}
