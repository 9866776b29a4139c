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
import type { ServiceTerms } from '../../core/request.ts'
import { micros, toSequenceId } from '../../core/units.ts'
import type { SchedulingPolicy } from '../policy.ts'
import { Sequence, type SequenceView } from '../sequence.ts'

interface RequestShape {
  readonly arrivedAt: number
  readonly numPromptTokens: number
  readonly terms: Partial<ServiceTerms>
}

const terms: fc.Arbitrary<Partial<ServiceTerms>> = fc.record({
  tenant: fc.constantFrom('a', 'b', 'c'),
  program: fc.constantFrom(undefined, 'p', 'q'),
  programStartedAt: fc.constantFrom(undefined, micros(0), micros(2)),
  serviceClass: fc.constantFrom('default', 'priority', 'flex', 'batch', 'unheard of'),
  priority: fc.integer({ min: -1, max: 1 }),
  deadline: fc.constantFrom(undefined, micros(5), micros(5_000_000)),
  stagesLeft: fc.constantFrom(undefined, 0, 2),
})
const shapes = fc.record({ arrivedAt: fc.nat(5), numPromptTokens: fc.integer({ min: 1, max: 9 }), terms })

function sequenceOf({ arrivedAt, numPromptTokens, terms: given }: RequestShape, index: number): Sequence {
  const promptTokens = Array.from({ length: numPromptTokens }, () => 1)
  const at = micros(arrivedAt)
  const request = createRequest({ id: `${index}`, promptTokens, arrivedAt: at, ...given })
  return new Sequence(toSequenceId(index), Object.freeze(request), numPromptTokens + 9, new Set())
}

/** Frozen, so that a policy that changes one fails. */
function runningView(shape: RequestShape, index: number): SequenceView {
  const { id, request, tokens, numPromptTokens } = sequenceOf(shape, index)
  const progress = {
    numOutputTokens: 0,
    numComputedTokens: 1,
    numPreemptions: 0,
    numStepsMissed: 0,
    numCachedTokens: 0,
  }
  const times = { firstScheduledAt: micros(6), firstTokenAt: undefined }
  return Object.freeze({
    id,
    request,
    status: 'running',
    tokens: Object.freeze(tokens),
    numPromptTokens,
    ...progress,
    ...times,
  })
}

const views = fc.array(shapes, { minLength: 1, maxLength: 8 }).map((all) => all.map(runningView))

/** Declares the tests of one policy; call inside `describe`. `numRuns`: random loads to serve. */
export function describePolicyContract(createPolicy: () => SchedulingPolicy, numRuns: number): void {
  it('hands out each that waits once, whatever comes and goes in between', () => {
    const change = fc.record({
      shape: shapes,
      remove: fc.option(fc.nat(30), { nil: undefined }),
      wait: fc.nat(3),
    })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const policy = createPolicy()
        const queue = policy.createQueue()
        const waiting = new Set<Sequence>()
        const leave = (sequence: Sequence): void => {
          queue.remove(sequence)
          queue.checkInvariants()
          expect(waiting.delete(sequence)).toBe(true)
        }
        let now = 5
        for (const [index, { shape, remove, wait }] of changes.entries()) {
          const gone = remove === undefined ? undefined : [...waiting][remove]
          if (gone !== undefined) {
            leave(gone)
            policy.onFinished?.(gone)
          }
          const sequence = sequenceOf(shape, index)
          waiting.add(sequence)
          queue.add(sequence)
          queue.checkInvariants()
          expect(queue.size).toBe(waiting.size)
          now += wait * 1_000_000
        }
        expect([...queue.values()].toSorted((a, b) => a.id - b.id)).toEqual([...waiting])
        while (waiting.size > 0) {
          const next = queue.peek(micros(now))!
          expect(queue.peek(micros(now))).toBe(next)
          leave(next)
          policy.onAdmitted?.(next)
          queue.checkInvariants()
        }
        expect(queue.peek(micros(now))).toBeUndefined()
      }),
    )
  })

  it('serves equals in order of arrival', () => {
    fc.assert(
      fc.property(shapes, fc.integer({ min: 2, max: 10 }), (shape, count) => {
        const policy = createPolicy()
        const queue = policy.createQueue()
        const ids = Array.from({ length: count }, (_, index) => index)
        for (const id of ids) queue.add(sequenceOf({ ...shape, arrivedAt: shape.arrivedAt + id }, id))
        for (const id of ids) {
          const next = queue.peek(micros(50))!
          expect(next.id).toBe(id)
          queue.remove(next)
          policy.onAdmitted?.(next)
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
