import { expect, test } from 'vitest'
import { RandomStream } from '../core/random.ts'
import { micros, toRequestId } from '../core/units.ts'
import { FakeExecutor } from '../executor/fake-executor.ts'
import { evictionPolicies } from '../kvcache/eviction/index.ts'
import { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import { createScheduler, type PlanningOptions } from '../scheduler/create-scheduler.ts'
import { policyNames, type PolicyName } from '../scheduler/policies/index.ts'
import { planLogFormat, type PlanLogHeader, type PlanLogLine } from '../simulator/replay/plan-log.ts'
import { PlanReplay } from '../simulator/replay/replay-plans.ts'
import { createRequest } from '../../test/support/generate.ts'
import type { FromEngine } from './protocol.ts'
import { RecordedScheduler } from './recorded-scheduler.ts'
import { StepLoop } from './step-loop.ts'
import { Swapping } from './swapping.ts'
import { systemClock } from './system-clock.ts'

const size = { vocabSize: 200, maxModelLen: 300, blockSize: 8, numBlocks: 60 }
const numRequests = 60
/** The machine's clock is in what policies and budgets decide: no two runs are alike, and each must replay. */
const planning: Omit<PlanningOptions, 'policy'> = {
  maxNumSeqs: 12,
  maxNumBatchedTokens: 64,
  maxModelLen: size.maxModelLen,
  maxTbtMicros: 4000,
  growthHeadroom: 0,
  endTokenIds: [size.vocabSize - 1],
}

interface Recorded {
  readonly header: PlanLogHeader
  readonly lines: PlanLogLine[]
  readonly kv: KvCacheManager
  readonly numPreemptions: number
}

/** An engine with more work than its pool bears: shared beginnings, tenants, programs, classes, clients that leave. */
async function record(policy: PolicyName, seed: number, numHostBlocks = 0): Promise<Recorded> {
  const random = new RandomStream(seed)
  const executor = new FakeExecutor({ ...size, endProbability: 0.01, stepMicros: 200 })
  const swapping = await openHostTier(numHostBlocks, executor)
  const swapper = swapping?.config
  const kv = new KvCacheManager(size, { eviction: evictionPolicies.value(), seed: 7, swapper })
  const scheduler = createScheduler({ ...planning, policy }, kv)
  const lines: PlanLogLine[] = []
  const secret = { seed: 99, hideName: (name: string) => `${name.length}${name.at(-1)}` }
  const recorded = new RecordedScheduler(scheduler, { write: (line) => lines.push(line) }, secret)
  let numEnded = 0
  let numSent = 0
  const send = (message: FromEngine): void => {
    if (!('updates' in message)) return
    for (const { finish } of message.updates) if (finish !== undefined) numEnded += 1
    if (numEnded === numRequests) loop.close()
    for (let count = random.below(4); count > 0 && numSent < numRequests; count -= 1) {
      loop.submit([requestOf(numSent++, random)])
    }
    if (random.below(6) === 0) loop.cancel([toRequestId(`${random.below(numSent + 1)}`)])
  }
  const loop = new StepLoop({ executor, scheduler: recorded, kv, swapping, clock: systemClock, send })
  loop.submit(Array.from({ length: 10 }, () => requestOf(numSent++, random)))
  await loop.run()
  await swapping?.close()
  const header: PlanLogHeader = {
    format: planLogFormat,
    planning: { ...planning, policy },
    numBlocks: size.numBlocks,
    blockSize: size.blockSize,
    eviction: 'value',
    tiers:
      swapper === undefined
        ? null
        : {
            sizes: [{ name: 'host', numSlots: swapper.tiers.fills[0]!.numSlots }],
            bytesPerBlock: swapper.tiers.bytesPerBlock,
            isKept: false,
          },
  }
  return { header, lines, kv, numPreemptions: scheduler.numPreemptionsTotal }
}

function openHostTier(numBlocks: number, { blocks }: FakeExecutor): Promise<Swapping | undefined> {
  const options = {
    hostBytes: numBlocks * blocks.bytesPerBlock,
    diskBytes: 0,
    diskDir: '',
    diskKeep: false,
  }
  const environment = { identity: new Uint8Array(32), log: () => undefined, reserveSpace: () => false }
  return Swapping.open(options, blocks, environment)
}

function requestOf(index: number, random: RandomStream) {
  const trunk = random.below(3)
  const numTrunk = random.below(60)
  const tokens = Array.from({ length: numTrunk }, (_, at) => (trunk * 50 + at) % 198)
  const own = Array.from({ length: 1 + random.below(40) }, () => random.below(198))
  return createRequest({
    id: `${index}`,
    promptTokens: [...tokens, ...own],
    maxTokens: 1 + random.below(80),
    tenant: `tenant ${random.below(3)}`,
    program: random.below(2) === 0 ? `program ${random.below(4)}` : undefined,
    serviceClass: ['default', 'priority', 'flex', 'batch'][random.below(4)]!,
    cacheSalt: random.below(5) === 0 ? 'salt' : undefined,
    deadline: random.below(3) === 0 ? micros(systemClock.now() + random.below(100_000)) : undefined,
  })
}

const asRead = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value)) as Value

test.each(policyNames)('a run under %s is planned again line by line', async (policy) => {
  const { header, lines, kv, numPreemptions } = await record(policy, 3)
  expect(numPreemptions).toBeGreaterThan(0)
  expect(kv.stats.numHitTokens).toBeGreaterThan(0)
  expect(lines.some((line) => 'cancel' in line)).toBe(true)
  expect(lines.some((line) => 'end' in line && line.end.includes('stop'))).toBe(true)
  const tenants = new Set(lines.flatMap((line) => ('add' in line ? line.add.tenant : [])))
  expect(tenants.size).toBe(3)

  const replay = new PlanReplay(asRead(header))
  let numPlans = 0
  for (const line of lines) {
    const planned = replay.apply(asRead(line))
    if (planned === undefined) continue
    numPlans += 1
    expect(planned.replayed).toBe(planned.recorded)
  }
  expect(numPlans).toBeGreaterThan(50)
  expect(replay.scheduler.numPreemptionsTotal).toBe(numPreemptions)
  expect(replay.sequences.size).toBe(0)
  expect(replay.kv.stats).toEqual(kv.stats)
  replay.scheduler.checkInvariants()
})

test('a run with moves to and from a tier is planned again, moves included', async () => {
  const { header, lines, kv } = await record('fair+slo+program', 6, 200)
  const moves = lines.flatMap((line) => ('moves' in line ? [line.moves] : []))
  expect(moves.some((move) => move.includes(' out '))).toBe(true)
  expect(moves.some((move) => move.includes(' in '))).toBe(true)
  const replay = new PlanReplay(asRead(header))
  for (const line of lines) {
    const planned = replay.apply(asRead(line))
    if (planned !== undefined) expect(planned.replayed).toBe(planned.recorded)
  }
  expect(replay.kv.stats).toEqual(kv.stats)
})

test('another order than the recorded one is noticed', async () => {
  const { header, lines } = await record('fcfs', 4)
  const other: PlanLogHeader = { ...header, planning: { ...header.planning, maxNumSeqs: 5 } }
  const replay = new PlanReplay(other)
  const differs = lines.some((line) => {
    const planned = replay.apply(line)
    return planned !== undefined && planned.recorded !== planned.replayed
  })
  expect(differs).toBe(true)
})

test('a recording names no token, tenant, program or salt', async () => {
  const { lines } = await record('fcfs', 5)
  const text = JSON.stringify(lines)
  expect(text).not.toMatch(/tenant \d|program \d|"salt"/)
  const prompts = lines.flatMap((line) => ('add' in line ? [line.add.promptTokens] : []))
  expect(prompts.flat().filter((token) => token >= 0 && token < size.vocabSize)).toEqual([])
})
