import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { micros } from '../core/units.ts'
import { routingNames, routingPolicies } from '../fleet/routing/index.ts'
import { policyNames, type PolicyName } from '../scheduler/policies/index.ts'
import { generateWorkload, parseGeneratorCall } from '../workload/generators/index.ts'
import { scaleRate } from '../workload/transforms/index.ts'
import type { Workload, WorkloadRequest } from '../workload/workload.ts'
import type { LatencyModel } from './latency/latency-model.ts'
import type { PlannerOptions } from './simulated-engine.ts'
import { simulate, type SimulationOptions } from './simulate.ts'
import type { SimulatedRecord } from './simulated-record.ts'

/** 10 ms a step and 1 ms a token. */
const latency: LatencyModel = {
  name: 'test',
  stepMicros: ({ numTokens }) => 10_000 + 1000 * numTokens,
  requestMicros: (numTokens) => 100 + numTokens,
  answerMicros: 500,
}

function optionsFor(workload: Workload, changes: Partial<SimulationOptions> = {}): SimulationOptions {
  return {
    requests: workload.requests,
    blockSize: workload.blockSize,
    history: 'actual',
    engine: {
      planning: {
        maxNumSeqs: 16,
        maxNumBatchedTokens: 128,
        maxModelLen: 4096,
        maxTbtMicros: undefined,
        policy: 'fair+slo+program',
      },
      numBlocks: 512,
      blockSize: 16,
      eviction: 'value',
    },
    latency,
    numEngines: 1,
    routing: routingPolicies['least-loaded'](),
    ...changes,
  }
}

function request(fields: Partial<WorkloadRequest>): WorkloadRequest {
  const numPromptTokens = fields.numPromptTokens ?? 40
  return {
    arrival: micros(0),
    tenant: 'a',
    program: undefined,
    turn: 0,
    gap: micros(0),
    gapKind: undefined,
    numPromptTokens,
    numOutputTokens: 5,
    blocks: Array.from({ length: Math.ceil(numPromptTokens / 16) }, (_, index) => index + 1),
    serviceClass: 'default',
    ...fields,
  }
}

/** Newcomers take what there is: those who run must give it up later. */
function tight(
  { engine }: SimulationOptions,
  { policy = 'fcfs', ...changes }: Partial<PlannerOptions> & { readonly policy?: PolicyName },
): PlannerOptions {
  return { ...engine, planning: { ...engine.planning, growthHeadroom: 0, policy }, ...changes }
}

const workloadOf = (requests: readonly WorkloadRequest[]): Workload => ({
  name: 'test',
  blockSize: 16,
  requests,
  provenance: [],
})

function generated(text: string, seed = 1): Workload {
  const call = parseGeneratorCall(text)!
  return generateWorkload(call.name, call.given, seed)
}

describe('a request alone', () => {
  test('takes its step times and what lies between the engine and its client', () => {
    const { records } = simulate(optionsFor(workloadOf([request({ arrival: micros(7000) })])))
    const [record] = records
    // 140 to the queue, 50 ms for the prompt, then 11 ms a token; each half a millisecond later at the client.
    const times = [0, 11, 22, 33, 44].map((offset) => 7 + 0.14 + 50 + 0.5 + offset)
    expect(record?.tokenTimes).toEqual(times.map((time) => expect.closeTo(time, 9) as number))
    expect(record).toMatchObject({ intendedAt: 7, outputTokens: 5, cachedTokens: 0, error: undefined })
    expect(record?.endedAt).toBeCloseTo(times.at(-1)!, 9)
    expect(record?.maxGap).toBeCloseTo(11, 9)
  })

  test('is refused where it can never fit', () => {
    const { records } = simulate(optionsFor(workloadOf([request({ numPromptTokens: 5000 })])))
    expect(records[0]?.error).toMatch('too long')
    expect(records[0]?.tokenTimes).toEqual([])
  })
})

describe('a program', () => {
  const turns = [
    request({ program: 'p', numPromptTokens: 64 }),
    request({
      program: 'p',
      turn: 1,
      numPromptTokens: 128,
      gap: micros(30_000),
      arrival: micros(30_000),
      includesAnswer: true,
    }),
  ]

  test('sends a turn a gap after its client has the answer before', () => {
    const { records } = simulate(optionsFor(workloadOf(turns)))
    expect(records[1]?.intendedAt).toBeCloseTo(records[0]!.endedAt + 30, 9)
  })

  test('finds its prompt and the answer that it got in the prefix cache', () => {
    const own = simulate(optionsFor(workloadOf(turns)))
    // All but the last token of the answer, whose KV nobody computed.
    expect(own.records[1]?.cachedTokens).toBe(64 + 5 - 1)
    const made = simulate(optionsFor(workloadOf(turns), { history: 'trace' }))
    expect(made.records[1]?.cachedTokens).toBe(64)
  })
})

test('a closed loop never has more requests under way than users', () => {
  const workload = generated('poisson:requests=60,prompt=50,output=20,rate=1000')
  const { records } = simulate(optionsFor(workload, { numUsers: 3 }))
  expect(records.length).toBe(60)
  const events = records.flatMap(({ intendedAt, endedAt }) => [
    { at: intendedAt, change: 1 },
    { at: endedAt, change: -1 },
  ])
  events.sort((a, b) => a.at - b.at || a.change - b.change)
  let most = 0
  events.reduce((count, { change }) => {
    most = Math.max(most, count + change)
    return count + change
  }, 0)
  expect(most).toBe(3)
})

test('in a closed loop, what a turn calls waits for that turn, and comes before programs that wait for a user', () => {
  const after = { program: 'main', turn: 0 }
  const requests = [
    request({ program: 'main' }),
    request({ program: 'other', blocks: [7, 8, 9] }),
    request({ program: 'called', after, blocks: [10, 11, 12] }),
    request({ program: 'main', turn: 1, gap: micros(1_000_000), arrival: micros(1_000_000) }),
  ]
  const { records } = simulate(optionsFor(workloadOf(requests), { numUsers: 1 }))
  expect(records.map(({ program, turn }) => `${program} ${turn}`)).toEqual([
    'main 0',
    'main 1',
    'called 0',
    'other 0',
  ])
  const two = simulate(optionsFor(workloadOf(requests.slice(0, 3)), { numUsers: 2 })).records
  const [main, called] = ['main', 'called'].map((name) => two.find(({ program }) => program === name)!)
  expect(called!.intendedAt).toBeGreaterThan(main!.endedAt)
})

test('every answer has all its tokens, each later than the one before, whatever policies and memory do', () => {
  fc.assert(
    fc.property(
      fc.record({
        seed: fc.nat(1000),
        numBlocks: fc.integer({ min: 40, max: 200 }),
        policy: fc.constantFrom(...policyNames),
        eviction: fc.constantFrom(undefined, 'lru', 'value'),
        numEngines: fc.integer({ min: 1, max: 3 }),
        routing: fc.constantFrom(...routingNames),
      }),
      ({ seed, numBlocks, policy, eviction, numEngines, routing }) => {
        const workload = generated(
          'agents:programs=12,turns=4,system=64,first=100,result=60,output=30,max-tokens=600,rate=50',
          seed,
        )
        const options = optionsFor(workload)
        const { records, engines } = simulate({
          ...options,
          engine: tight(options, { numBlocks, policy, eviction }),
          numEngines,
          routing: routingPolicies[routing](),
        })
        expect(records.length).toBe(workload.requests.length)
        for (const { tokenTimes, outputTokens, wanted, error, endedAt, firstTokenAt } of records) {
          if (error !== undefined) continue
          expect(outputTokens).toBe(wanted.outputTokens)
          expect(tokenTimes.length).toBe(outputTokens)
          expect(tokenTimes.every((at, index) => index === 0 || at > tokenTimes[index - 1]!)).toBe(true)
          expect(firstTokenAt).toBe(tokenTimes[0])
          expect(endedAt).toBeCloseTo(tokenTimes.at(-1)!, 6)
        }
        expect(engines.length).toBe(numEngines)
      },
    ),
    { numRuns: 15 },
  )
})

test('like steps that pass at once end as they would one by one', () => {
  const odd: LatencyModel = {
    ...latency,
    stepMicros: ({ numTokens, numSequences, decodeKeys }) =>
      9_973.7 + 811.3 * numTokens + 17.1 * numSequences + 0.37 * decodeKeys,
  }
  const lengths = 'system=64,first=100,result=60,output=150,max-tokens=900'
  const given = fc.record({
    seed: fc.nat(1000),
    rate: fc.constantFrom(1, 5, 50),
    numBlocks: fc.integer({ min: 60, max: 600 }),
    policy: fc.constantFrom(...policyNames),
    eviction: fc.constantFrom(undefined, 'lru', 'value'),
    numEngines: fc.integer({ min: 1, max: 3 }),
    numUsers: fc.constantFrom(undefined, 4),
    maxTbtMicros: fc.constantFrom(undefined, 30_000),
    history: fc.constantFrom('trace', 'actual'),
  })
  const run = ({ seed, rate, numUsers, maxTbtMicros, ...others }: Given, isStepByStep: boolean): string => {
    const { policy, numBlocks, eviction, ...fleet } = others
    const workload = generated(`agents:programs=15,turns=3,tool-seconds=0.3,rate=${rate},${lengths}`, seed)
    const options = optionsFor(workload, { ...fleet, numUsers, latency: odd, isStepByStep })
    const engine = tight(options, { numBlocks, policy, eviction })
    const planning = { ...engine.planning, maxTbtMicros }
    const result = simulate({ ...options, engine: { ...engine, planning } })
    const records = result.records.map((record) => ({ ...record, times: record.tokenTimes }))
    return JSON.stringify({ ...result, records })
  }
  type Given = typeof given extends fc.Arbitrary<infer Value> ? Value : never
  fc.assert(
    fc.property(given, (each) => {
      expect(run(each, false)).toBe(run(each, true))
    }),
    { numRuns: 40 },
  )
})

test('a pool that is too small costs preemptions, and their tokens come later', () => {
  const workload = generated('poisson:requests=40,prompt=200,output=100,rate=100')
  const options = optionsFor(workload)
  const { records, engines } = simulate({ ...options, engine: tight(options, { numBlocks: 60 }) })
  expect(engines[0]!.numPreemptions).toBeGreaterThan(0)
  const interrupted = records.filter(({ numPreemptions }) => numPreemptions > 0)
  expect(interrupted.some(({ tokenTimes }) => tokenTimes.length === 100)).toBe(true)
})

test('the same seed and workload give the same records, byte for byte', () => {
  const run = (): string =>
    JSON.stringify(
      simulate(
        optionsFor(scaleRate(generated('agents:programs=20,turns=5', 3), 20), { numEngines: 2 }),
      ).records.map((record) => ({ ...record, tokenTimes: record.tokenTimes })),
    )
  expect(run()).toBe(run())
})

test('a sink gets all requests, and the gaps between the tokens of those that it wants them of', () => {
  const workload = generated(
    'agents:programs=20,turns=4,system=64,first=100,output=60,max-tokens=600,rate=40',
  )
  const options = optionsFor(workload, { numEngines: 2 })
  const given = { ...options, engine: tight(options, { numBlocks: 90 }) }
  const kept = simulate(given).records
  const isWanted = ({ index }: { readonly index: number }): boolean => index % 3 > 0
  const gaps = new Map<number, number>()
  const count = (counts: Map<number, number>, micros: number, times: number): void => {
    counts.set(micros, (counts.get(micros) ?? 0) + times)
  }
  const seen: string[] = []
  const sink = {
    ended(record: SimulatedRecord): boolean {
      seen.push(JSON.stringify([record, record.tokenTimes]))
      return isWanted(record)
    },
    gaps: (micros: number, times: number): void => count(gaps, micros, times),
  }
  expect(simulate({ ...given, sink }).records).toEqual([])
  expect(seen).toEqual(kept.map((record) => JSON.stringify([record, record.tokenTimes])))
  const expected = new Map<number, number>()
  for (const { tokenTimes } of kept.filter(isWanted)) {
    tokenTimes
      .slice(1)
      .forEach((at, index) => count(expected, Math.round(1000 * (at - tokenTimes[index]!)), 1))
  }
  expect(kept.some(({ numPreemptions }) => numPreemptions > 0)).toBe(true)
  expect([...gaps].toSorted(([a], [b]) => a - b)).toEqual([...expected].toSorted(([a], [b]) => a - b))
})
