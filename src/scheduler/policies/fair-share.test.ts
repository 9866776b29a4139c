import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRequest } from '../../../test/support/generate.ts'
import { FairnessRun, type FairLoad } from '../../../test/support/fairness-run.ts'
import { runVirtually, type VirtualRequest } from '../../../test/support/virtual-run.ts'
import { micros, toSequenceId } from '../../core/units.ts'
import { Sequence } from '../sequence.ts'
import { FairShare } from './fair-share.ts'
import { fair } from './fair.ts'
import { fairSloProgram } from './fair-slo-program.ts'

const prices = { prompt: 1, cached: 0.1, output: 2 }
const mostPrompt = 40
const mostOutput = 20
/** Most that one request costs in these loads. */
const mostCost = mostPrompt * prices.prompt + mostOutput * prices.output

const loads: fc.Arbitrary<FairLoad> = fc.record({
  seed: fc.nat(),
  weights: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 4 }),
  maxNumSeqs: fc.integer({ min: 1, max: 8 }),
  maxNumBatchedTokens: fc.integer({ min: 4, max: 64 }),
  numBlocks: fc.constantFrom(32, 64, 400),
  mostPrompt: fc.constant(mostPrompt),
  mostOutput: fc.constant(mostOutput),
})

describe.each([
  ['fair', fair],
  ['fair+slo+program', fairSloProgram],
])('%s', (_, createPolicy) => {
  it('serves tenants that always wait by their weights, within the bound over any interval', () => {
    fc.assert(
      fc.property(loads, (load) => {
        const run = new FairnessRun(load, createPolicy({ prices }), prices)
        const gains: number[][] = []
        for (let step = 0; step < 150; step += 1) {
          run.keepWaiting()
          run.step()
          gains.push(run.normalisedService())
        }
        const leastWeight = Math.min(...load.weights)
        const bound = (2 * (load.maxNumSeqs + 1) * mostCost) / leastWeight
        expect(largestGap(gains)).toBeLessThanOrEqual(bound)
      }),
      { numRuns: 40 },
    )
  })
})

it('lets a cached prompt go first only as far as locality allows', () => {
  const localityTokens = 300
  let numHot = 0
  const numCachedTokens = ({ id }: { readonly id: number }): number => {
    numHot += 1
    return id % 3 === 0 ? 10 : 0
  }
  fc.assert(
    fc.property(loads, (load) => {
      const run = new FairnessRun(load, fair({ prices, localityTokens, numCachedTokens }), prices)
      const gains: number[][] = []
      for (let step = 0; step < 100; step += 1) {
        run.keepWaiting()
        run.step()
        gains.push(run.normalisedService())
      }
      const leastWeight = Math.min(...load.weights)
      const bound = 2 * (localityTokens + ((load.maxNumSeqs + 1) * mostCost) / leastWeight)
      expect(largestGap(gains)).toBeLessThanOrEqual(bound)
    }),
    { numRuns: 20 },
  )
  expect(numHot).toBeGreaterThan(0)
})

it('serves the cached prompt among tenants that are level', () => {
  const order = (localityTokens: number): string[] => {
    const policy = fair({
      prices,
      localityTokens,
      numCachedTokens: ({ request }) => (request.tenant === 'c' ? 2 : 0),
    })
    const queue = policy.createQueue()
    for (const [id, tenant] of ['a', 'b', 'c'].entries()) {
      const request = createRequest({ id: tenant, promptTokens: [1, 2, 3], tenant })
      queue.add(new Sequence(toSequenceId(id), request, 9, new Set()))
    }
    const served: string[] = []
    for (let next = queue.peek(micros(0)); next; next = queue.peek(micros(0))) {
      queue.remove(next)
      policy.onAdmitted?.(next)
      served.push(next.request.tenant)
    }
    return served
  }
  expect(order(0)).toEqual(['a', 'b', 'c'])
  expect(order(100)).toEqual(['c', 'a', 'b'])
})

it('gives a tenant of twice the weight twice the service in the long run', () => {
  const load = {
    seed: 3,
    weights: [1, 2],
    maxNumSeqs: 6,
    maxNumBatchedTokens: 32,
    numBlocks: 400,
    mostPrompt,
    mostOutput,
  }
  const run = new FairnessRun(load, fair({ prices }), prices)
  for (let step = 0; step < 3000; step += 1) {
    run.keepWaiting()
    run.step()
  }
  const [one, two] = run.normalisedService() as [number, number]
  expect(two / one).toBeGreaterThan(0.95)
  expect(two / one).toBeLessThan(1.05)
})

it('counts answers like prompts: who asks little and gets much has no advantage', () => {
  const of = (tenant: string, numPrompt: number, numOutput: number): VirtualRequest[] =>
    Array.from({ length: 100 }, () => ({ at: micros(0), tenant, numPrompt, numOutput }))
  // Either costs about 210 weighted tokens.
  const requests = [...of('writer', 10, 100), ...of('reader', 208, 1)]
  const results = runVirtually(fair({ prices }), requests, { maxNumSeqs: 4 })
  const ends = results.map(({ finishedAt }) => finishedAt).toSorted((a, b) => a - b)
  const firstHalf = results.filter(({ finishedAt }) => finishedAt <= ends[ends.length / 2 - 1]!)
  const numWritten = firstHalf.filter(({ request }) => request.tenant === 'writer').length
  expect(numWritten).toBeGreaterThan(40)
  expect(numWritten).toBeLessThan(60)
})

it('gives no credit for idleness', () => {
  const load = {
    seed: 3,
    weights: [1, 1],
    maxNumSeqs: 4,
    maxNumBatchedTokens: 32,
    numBlocks: 400,
    mostPrompt,
    mostOutput,
  }
  const run = new FairnessRun(load, fair({ prices }), prices)
  for (let step = 0; step < 1000; step += 1) {
    run.keepWaiting([0])
    run.step()
  }
  const before = run.normalisedService() as [number, number]
  for (let step = 0; step < 300; step += 1) {
    run.keepWaiting()
    run.step()
  }
  const after = run.normalisedService() as [number, number]
  const gap = Math.abs(after[0] - before[0] - (after[1] - before[1]))
  expect(before[0]).toBeGreaterThan(10 * mostCost)
  expect(gap).toBeLessThanOrEqual(2 * (load.maxNumSeqs + 1) * mostCost)
})

it('forgets tenants that are gone, and lifts them when they come back', () => {
  const share = new FairShare({
    prices,
    nameOf: ({ request }) => request.tenant,
    weightOf: () => 1,
    isWaiting: () => false,
  })
  let counter = 0
  for (let index = 0; index < 5000; index += 1) {
    const request = createRequest({ id: `${index}`, promptTokens: [1, 2, 3], tenant: `${index % 2500}` })
    const sequence = new Sequence(toSequenceId(index), request, 9, new Set())
    share.open(sequence, undefined)
    share.admit(sequence)
    expect(share.counterOf(request.tenant)).toBeGreaterThanOrEqual(counter)
    counter = share.counterOf(request.tenant)
    share.serve({ sequence, position: 0, numTokens: 3, numSamples: 1 })
    share.finish(sequence)
  }
  expect(share.numAccounts).toBeLessThan(300)
})

it('gives back what was charged for a prompt that was never computed', () => {
  const share = new FairShare({
    prices,
    nameOf: () => 'a',
    weightOf: () => 2,
    isWaiting: () => false,
  })
  const request = createRequest({ id: 'x', promptTokens: Array.from({ length: 100 }, () => 1) })
  const sequence = new Sequence(toSequenceId(1), request, 200, new Set())
  sequence.numComputedTokens = 20
  share.open(sequence, undefined)
  share.admit(sequence)
  expect(share.counterOf('a')).toBeCloseTo((20 * prices.cached + 80) / 2)
  share.serve({ sequence, position: 20, numTokens: 30, numSamples: 0 })
  // Computed again after a preemption.
  share.serve({ sequence, position: 0, numTokens: 40, numSamples: 0 })
  share.finish(sequence)
  expect(share.counterOf('a')).toBeCloseTo((20 * prices.cached + 30) / 2)
})

/** Over all pairs of tenants and all intervals: how much more one gained than another. */
function largestGap(service: readonly (readonly number[])[]): number {
  let largest = 0
  const numTenants = service[0]?.length ?? 0
  for (let a = 0; a < numTenants; a += 1) {
    for (let b = 0; b < numTenants; b += 1) {
      let least = 0
      for (const row of service) {
        const difference = row[a]! - row[b]!
        least = Math.min(least, difference)
        largest = Math.max(largest, difference - least)
      }
    }
  }
  return largest
}
