import fc from 'fast-check'
import { expect } from 'vitest'
import type { FinishReason, GenerationRequest } from '../../src/core/request.ts'
import { micros, toRequestId, type RequestId, type SequenceId } from '../../src/core/units.ts'
import { RandomStream } from '../../src/core/random.ts'
import type { SwapperConfig } from '../../src/kvcache/block-swapper.ts'
import { evictionNames, evictionPolicies, type EvictionName } from '../../src/kvcache/eviction/index.ts'
import { KvCacheManager } from '../../src/kvcache/kv-cache-manager.ts'
import type { KvStats } from '../../src/kvcache/kv-stats.ts'
import { KvTiers } from '../../src/kvcache/kv-tiers.ts'
import type { SwapStats } from '../../src/kvcache/swap-stats.ts'
import type { SchedulingPolicy } from '../../src/scheduler/policy.ts'
import type { SequenceResult } from '../../src/scheduler/finished-step.ts'
import { Scheduler } from '../../src/scheduler/scheduler.ts'
import type { StepPlan } from '../../src/scheduler/step-plan.ts'
import { createRequest } from './generate.ts'
import { nextTokenAlone, PagedMachine } from './paged-machine.ts'
import { TierMachine, type TierFaults } from './tier-machine.ts'

const blockSize = 4
const maxModelLen = 100
const endToken = 5

/** What arrives when, when it is cancelled, and the limits under which it is served. */
export interface Scenario {
  readonly arrivals: readonly Arrival[]
  readonly numBlocks: number
  readonly maxNumSeqs: number
  readonly maxNumBatchedTokens: number
  readonly maxTbtMicros: number | undefined
  readonly growthHeadroom: number | undefined
  /** Undefined: nothing is kept beyond the sequence that computed it. */
  readonly eviction: EvictionName | undefined
  /** Only with a prefix cache. */
  readonly tiers: TierScenario | undefined
}

export interface TierScenario extends TierFaults {
  readonly numSlots: readonly number[]
  readonly keepsLast: boolean
  readonly seed: number
}

export interface Arrival {
  readonly atStep: number
  readonly promptTokens: readonly number[]
  /** Tokens that it brings along, as after a crash. */
  readonly numRecovered: number
  readonly maxTokens: number
  readonly ignoreEos: boolean
  readonly tenant: string
  readonly program: string | undefined
  readonly serviceClass: string
  readonly priority: number
  /** Steps after arrival. */
  readonly deadlineAfter: number | undefined
  readonly cacheSalt: string | undefined
  /** Cancelled so many steps after arrival; with the step in flight or between two steps. */
  readonly cancelAfter: number | undefined
  readonly cancelInFlight: boolean
}

/** A prompt as a part of the scenario's trunk, what would be generated behind it, and tokens of its own. */
const promptParts = fc.record({
  numTrunk: fc.oneof(fc.constant(0), fc.nat(14)),
  numGenerated: fc.constantFrom(0, 0, 3, 8),
  own: fc.array(fc.nat(96), { minLength: 1, maxLength: 8, size: 'max' }),
})

const arrivalFields = fc.record({
  atStep: fc.nat(40),
  prompt: promptParts,
  /** Sequences of one prompt that arrive together. */
  numForks: fc.constantFrom(1, 1, 1, 3),
  numRecovered: fc.constantFrom(0, 0, 0, 1, 7),
  maxTokens: fc.oneof(fc.nat(10), fc.integer({ min: 30, max: 90 })),
  ignoreEos: fc.boolean(),
  tenant: fc.constantFrom('a', 'b'),
  program: fc.constantFrom(undefined, undefined, 'p', 'q'),
  serviceClass: fc.constantFrom('default', 'default', 'priority', 'flex', 'batch'),
  priority: fc.constantFrom(0, 0, -1, 1),
  deadlineAfter: fc.option(fc.nat(60), { nil: undefined }),
  cacheSalt: fc.constantFrom(undefined, undefined, 'salt'),
  cancelAfter: fc.option(fc.nat(40), { freq: 1, nil: undefined }),
  cancelInFlight: fc.boolean(),
})

const trunk = fc.array(fc.nat(96), { minLength: 14, maxLength: 14 })

const arrivals = fc
  .tuple(trunk, fc.array(arrivalFields, { minLength: 1, maxLength: 14, size: 'max' }))
  .map(([trunkTokens, list]) =>
    list.flatMap(({ prompt, numForks, ...fields }): Arrival[] => {
      const promptTokens = trunkTokens.slice(0, prompt.numTrunk)
      const numGenerated = promptTokens.length === 0 ? 0 : prompt.numGenerated
      for (let count = 0; count < numGenerated; count += 1) promptTokens.push(nextTokenAlone(promptTokens))
      promptTokens.push(...prompt.own)
      return Array.from({ length: numForks }, () => ({ ...fields, promptTokens }))
    }),
  )

export const tierScenarios: fc.Arbitrary<TierScenario> = fc.record({
  numSlots: fc.array(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constant(200)), {
    minLength: 1,
    maxLength: 2,
  }),
  keepsLast: fc.boolean(),
  seed: fc.nat(),
  writing: fc.constantFrom(0, 0, 0, 0.05, 1),
  reading: fc.constantFrom(0, 0, 0, 0.1, 1),
  mostSteps: fc.constantFrom(0, 1, 3, 20),
})

export const scenarios: fc.Arbitrary<Scenario> = fc.record({
  arrivals,
  // 32 tokens at least: every prompt fits alone.
  numBlocks: fc.oneof(fc.integer({ min: 8, max: 40 }), fc.constant(120)),
  maxNumSeqs: fc.integer({ min: 1, max: 12 }),
  maxNumBatchedTokens: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 20, max: 100 })),
  maxTbtMicros: fc.constantFrom(undefined, 1, 3000, 100_000),
  growthHeadroom: fc.constantFrom(undefined, 0, 0, 4),
  eviction: fc.constantFrom(undefined, ...evictionNames, ...evictionNames),
  tiers: fc.option(tierScenarios, { nil: undefined, freq: 2 }),
})

export function requestOf(index: number, from: Arrival): GenerationRequest {
  const {
    promptTokens,
    maxTokens,
    ignoreEos,
    tenant,
    program,
    serviceClass,
    priority,
    deadlineAfter,
    cacheSalt,
  } = from
  const outputTokens: number[] = []
  while (outputTokens.length < Math.min(from.numRecovered, maxTokens)) {
    if (!ignoreEos && outputTokens.at(-1) === endToken) break
    outputTokens.push(nextTokenAlone([...promptTokens, ...outputTokens]))
  }
  const arrivedAt = micros(from.atStep)
  return createRequest({
    id: `${index}`,
    promptTokens,
    outputTokens,
    maxTokens,
    ignoreEos,
    tenant,
    program,
    serviceClass,
    priority,
    deadline: deadlineAfter === undefined ? undefined : micros(arrivedAt + deadlineAfter),
    cacheSalt,
    arrivedAt,
  })
}

/** All tokens of a request that is served alone, and why it ends. */
export function servedAlone(request: GenerationRequest, numBlocks: number) {
  const { promptTokens, outputTokens, maxTokens, ignoreEos } = request
  const maxLength = Math.min(maxModelLen, numBlocks * blockSize, promptTokens.length + maxTokens)
  const tokens = [...promptTokens, ...outputTokens]
  const isStopped = () => !ignoreEos && tokens.length > promptTokens.length && tokens.at(-1) === endToken
  while (!isStopped() && tokens.length < maxLength) tokens.push(nextTokenAlone(tokens))
  const reason: FinishReason = isStopped() ? 'stop' : 'length'
  return { tokens, reason }
}

interface Stream {
  readonly serviceClass: string
  /** Steps in a row. */
  numMissed: number
}

/** Serves a scenario to its end, checking the laws of docs/invariants.md at every step. */
export class SchedulerRun {
  readonly plans: StepPlan[] = []
  readonly ended = new Map<RequestId, SequenceResult>()
  readonly #scenario: Scenario
  readonly #scheduler: Scheduler
  readonly #kv: KvCacheManager
  readonly #machine: PagedMachine
  #tiers: TierMachine | undefined
  readonly #numComputed = new Map<number, number>()
  readonly #generated = new Map<RequestId, number[]>()
  /**
   * Sequences that have all their KV but for the last token: they get the next token in every step, but for those
   * that the policy lets stand back.
   */
  readonly #streaming = new Map<number, Stream>()
  readonly #letsStandBack: boolean
  #step = 0

  constructor(scenario: Scenario, policy: SchedulingPolicy) {
    this.#scenario = scenario
    this.#letsStandBack = policy.pickLater !== undefined
    const { numBlocks, eviction } = scenario
    this.#machine = new PagedMachine(numBlocks, blockSize)
    const swapper = scenario.tiers && this.#swapperOf(scenario.tiers)
    const prefixCache = eviction && { eviction: evictionPolicies[eviction](), seed: 1, swapper }
    this.#kv = new KvCacheManager({ numBlocks, blockSize }, prefixCache)
    this.#scheduler = new Scheduler({ ...scenario, maxModelLen, endTokenIds: [endToken] }, this.#kv, policy)
  }

  get numPreemptions(): number {
    return this.#scheduler.numPreemptionsTotal
  }

  get kvStats(): KvStats {
    return this.#kv.stats
  }

  /** Tokens that came out in results, in order. */
  generatedBy(id: RequestId): readonly number[] {
    return this.#generated.get(id) ?? []
  }

  get swapStats(): SwapStats | undefined {
    return this.#kv.swapper?.stats
  }

  toEnd(): void {
    const { arrivals, numBlocks } = this.#scenario
    const lastEvent = Math.max(...arrivals.map(({ atStep, cancelAfter = 0 }) => atStep + cancelAfter))
    while (this.#step <= lastEvent || !this.#scheduler.isIdle) {
      this.#arrive()
      this.#cancel(false)
      this.#collect(this.#scheduler.takeFinished())
      this.#runStep()
      this.#scheduler.checkInvariants()
      this.#step += 1
      check(this.#step < 20_000, 'somebody waits for ever')
    }
    while (this.#tiers !== undefined && this.#tiers.numUnderWay > 0) this.#finishTransfers()
    this.#scheduler.checkInvariants()
    expect(this.#kv.numAvailableBlocks).toBe(numBlocks)
    if (this.#scenario.eviction === undefined) expect(this.#kv.numCachedBlocks).toBe(0)
    expect(this.ended.size).toBe(arrivals.length)
  }

  #arrive(): void {
    for (const [index, each] of this.#scenario.arrivals.entries()) {
      if (each.atStep !== this.#step) continue
      expect(this.#scheduler.add(requestOf(index, each)).kind).toBe('added')
    }
  }

  #cancel(inFlight: boolean): void {
    for (const [index, { atStep, cancelAfter, cancelInFlight }] of this.#scenario.arrivals.entries()) {
      if (cancelAfter === undefined || cancelInFlight !== inFlight) continue
      if (atStep + cancelAfter === this.#step) this.#scheduler.cancel(toRequestId(`${index}`))
    }
  }

  #swapperOf({ numSlots, keepsLast, seed, ...faults }: TierScenario): SwapperConfig {
    this.#tiers = new TierMachine(this.#machine, numSlots.length, new RandomStream(seed), faults)
    const sizes = numSlots.map((count, index) => ({ name: `tier ${index}`, numSlots: count }))
    return { tiers: new KvTiers(sizes, 1), keptTier: keepsLast ? sizes.length - 1 : undefined }
  }

  #finishTransfers(): void {
    for (const outcome of this.#tiers?.advance() ?? []) this.#scheduler.finishTransfer(outcome)
    this.#tiers?.start(this.#scheduler.takeTransfers())
  }

  #runStep(): void {
    this.#finishTransfers()
    const plan = this.#scheduler.schedule(micros(this.#step))
    this.#tiers?.start(this.#scheduler.takeTransfers())
    if (!plan) {
      if (this.#tiers !== undefined && this.#tiers.numUnderWay > 0) return
      const { numRunning, numWaiting } = this.#scheduler
      check(numRunning + numWaiting === 0, 'nothing is planned while somebody is there')
      return
    }
    this.plans.push(plan)
    this.#checkPlan(plan)
    this.#checkWaits(plan)
    // The blocks of whoever is cancelled now are still this step's.
    this.#cancel(true)
    const sampled = this.#machine.execute(plan)
    this.#collect(this.#scheduler.update(plan, sampled, micros(this.#step), 500 + 100 * plan.numTokens))
  }

  #checkPlan({ entries, numTokens, preempted }: StepPlan): void {
    const { maxNumBatchedTokens, maxNumSeqs } = this.#scenario
    const numPlanned = entries.reduce((sum, { tokens }) => sum + tokens.length, 0)
    check(numTokens === numPlanned, 'a plan miscounts its tokens')
    check(numTokens <= maxNumBatchedTokens, 'a plan exceeds the token budget')
    check(entries.length <= maxNumSeqs, 'a plan has too many sequences')
    for (const id of preempted) {
      this.#numComputed.delete(id)
      this.#streaming.delete(id)
    }
    const ids = entries.map(({ sequenceId }) => sequenceId)
    const isOnce = new Set(ids).size === ids.length && new Set(preempted).size === preempted.length
    check(isOnce, 'a plan names a sequence twice')
    const longest = entries.findIndex(({ tokens }) => tokens.length > 1)
    const first = new Set(longest < 0 ? ids : ids.slice(0, longest))
    for (const [id, stream] of this.#streaming) {
      const isServed = first.has(id as SequenceId)
      check(isServed || this.#mayStandBack(stream), 'a stream waits, or comes behind a prompt')
      stream.numMissed = ids.includes(id as SequenceId) ? 0 : stream.numMissed + 1
      check(stream.numMissed <= 15, 'a stream stands back for too long')
    }
    for (const { sequenceId, tokens, position, extents } of entries) {
      const numComputed = this.#numComputed.get(sequenceId)
      const isFound = numComputed === undefined && this.#scenario.eviction !== undefined
      const isNext = position === (numComputed ?? 0)
      check(isNext || isFound, 'a chunk does not begin where the one before ended')
      this.#numComputed.set(sequenceId, position + tokens.length)
      const numBlocks = extents.reduce((sum, { length }) => sum + length, 0)
      check(numBlocks * blockSize >= position + tokens.length, 'a chunk has no room')
    }
  }

  /** Nobody waits for what is there. */
  #checkWaits({ numTokens }: StepPlan): void {
    const { maxNumSeqs, maxNumBatchedTokens, maxTbtMicros } = this.#scenario
    const { waitReason, numRunning, numWaiting } = this.#scheduler
    const isFull = numRunning === Math.min(maxNumSeqs, maxNumBatchedTokens)
    check(waitReason !== 'places' || isFull, 'somebody waits for a place, and one is free')
    // Under targets, which all policies have that let streams stand back, a step may bear less.
    const mayBearLess = maxTbtMicros !== undefined || this.#letsStandBack
    const hasNoRoom = numTokens === maxNumBatchedTokens || mayBearLess
    check(waitReason !== 'step-budget' || hasNoRoom, 'somebody waits for room in a step that has some')
    check(numWaiting === 0 || waitReason !== undefined, 'somebody waits for nothing')
  }

  #mayStandBack({ serviceClass }: Stream): boolean {
    return this.#letsStandBack && (serviceClass === 'flex' || serviceClass === 'batch')
  }

  #collect(results: readonly SequenceResult[]): void {
    for (const { sequence, tokenId, finish } of results) {
      const { id } = sequence.request
      check(!this.ended.has(id), 'something comes after the end')
      if (tokenId !== undefined) {
        this.#generated.set(id, [...this.generatedBy(id), tokenId])
        if (!this.#streaming.has(sequence.id))
          this.#streaming.set(sequence.id, { serviceClass: sequence.request.serviceClass, numMissed: 0 })
      }
      if (finish === undefined) continue
      this.ended.set(id, { sequence, tokenId, finish })
      this.#streaming.delete(sequence.id)
    }
  }
}

function check(condition: boolean, broken: string): void {
  if (!condition) throw new Error(broken)
}
