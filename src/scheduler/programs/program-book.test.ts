/** What becomes of the KV of programs that pause, in a scheduler on a clock of its own. */
import { describe, expect, it } from 'vitest'
import { createRequest } from '../../../test/support/generate.ts'
import { micros, toRequestId } from '../../core/units.ts'
import { evictionPolicies, type EvictionName } from '../../kvcache/eviction/index.ts'
import { KvCacheManager } from '../../kvcache/kv-cache-manager.ts'
import { fcfs } from '../policies/fcfs.ts'
import { program as byProgram } from '../policies/program.ts'
import type { SchedulingPolicy } from '../policy.ts'
import { Scheduler } from '../scheduler.ts'

const second = 1_000_000
const numPrompt = 64
const answer = [7, 7, 7, 7]

interface Terms {
  readonly program?: string
  /** What its answer calls. */
  readonly tool?: string
  /** How many turns are in the prompt. */
  readonly numTurns?: number
}

/** A pool for eight prompts. A prompt takes a fifth of a second, a token of an answer a millisecond. */
class Machine {
  readonly kv: KvCacheManager
  readonly #scheduler: Scheduler
  #numRequests = 0
  #now = 0

  constructor(policy: SchedulingPolicy, eviction: EvictionName = 'value') {
    this.kv = new KvCacheManager(
      { numBlocks: 42, blockSize: 16 },
      { eviction: evictionPolicies[eviction](), seed: 1 },
    )
    const limits = { maxNumSeqs: 4, maxNumBatchedTokens: 512, maxModelLen: 512, endTokenIds: [0] }
    this.#scheduler = new Scheduler({ ...limits, maxTbtMicros: undefined }, this.kv, policy)
  }

  wait(seconds: number): void {
    this.#now += seconds * second
  }

  /** A long answer that nobody waits for, so that somebody runs all the time. */
  runInBackground(tenant: string): void {
    const request = createRequest({ id: 'background', promptTokens: [5], maxTokens: 150, tenant })
    this.#scheduler.add(request)
    this.#step()
  }

  /** Steps until the request is done, or at most so many, and whether it is. */
  hasServed(name: number, tenant: string, numSteps: number): boolean {
    const arrivedAt = micros(this.#now)
    const id = `${this.#numRequests++}`
    this.#scheduler.add(createRequest({ id, promptTokens: promptOf(name), maxTokens: 1, tenant, arrivedAt }))
    for (let step = 0; step < numSteps; step += 1) {
      if (this.#step().includes(id)) return true
    }
    return false
  }

  /** Serves a request that begins like others of this name, and says how many of its tokens were cached. */
  serve(name: number, { program, tool, numTurns = 0 }: Terms = {}): number {
    const promptTokens = promptOf(name)
    for (let turn = 0; turn < numTurns; turn += 1) promptTokens.push(...answer, 20 + turn)
    const id = `${this.#numRequests++}`
    const arrivedAt = micros(this.#now)
    const request = createRequest({ id, promptTokens, maxTokens: answer.length, program, arrivedAt })
    const admission = this.#scheduler.add(request)
    if (admission.kind !== 'added') throw new Error(admission.message)
    if (tool !== undefined) this.#scheduler.noteToolCall(toRequestId(id), tool)
    while (!this.#step().includes(id));
    return admission.sequence.numCachedTokens
  }

  /** The requests that ended. */
  #step(): string[] {
    const plan = this.#scheduler.schedule(micros(this.#now))
    if (plan === undefined) return []
    const duration = plan.numTokens < numPrompt / 2 ? 1000 : second / 5
    this.#now += duration
    const sampled = plan.entries.map(({ samples }) => (samples ? answer[0] : undefined))
    const results = this.#scheduler.update(plan, sampled, micros(this.#now), duration)
    this.#scheduler.checkInvariants()
    return results.flatMap(({ sequence, finish }) =>
      finish === undefined ? [] : [sequence.request.id as string],
    )
  }

  /** Serves strangers until all of the pool has been used anew. */
  serveStrangers(count = 12): void {
    for (let index = 0; index < count; index += 1) this.serve(1000 + this.#numRequests)
  }
}

const promptOf = (name: number): number[] =>
  Array.from({ length: numPrompt }, (_, index) => 1000 * name + index + 1)

/** Tokens that a program finds after the pool was used by others; it has paused for a second. */
function foundAfterPause(policy: SchedulingPolicy, eviction?: EvictionName): number {
  const machine = new Machine(policy, eviction)
  machine.serve(1, { program: 'agent', tool: 'search' })
  machine.serveStrangers()
  return machine.serve(1, { program: 'agent' })
}

describe('the KV of a program that pauses', () => {
  it('outlasts that of requests that stand alone', () => {
    expect(foundAfterPause(byProgram())).toBeGreaterThan(numPrompt / 2)
    expect(foundAfterPause(fcfs())).toBe(0)
  })

  it('goes like any other where eviction knows no worth', () => {
    expect(foundAfterPause(byProgram(), 'lru')).toBe(0)
  })

  it('goes like any other once the pause lasts longer than it is predicted to', () => {
    const machine = new Machine(byProgram())
    machine.serve(1, { program: 'agent', tool: 'search' })
    machine.wait(100)
    machine.serveStrangers()
    expect(machine.serve(1, { program: 'agent' })).toBe(0)
  })

  it('is never kept from those that need it', () => {
    const machine = new Machine(byProgram())
    for (let index = 0; index < 30; index += 1)
      machine.serve(index, { program: `agent ${index}`, tool: 'search' })
    expect(machine.serve(2000)).toBe(0)
  })

  it('is kept for a program that nobody named, once it has a history', () => {
    const machine = new Machine(byProgram())
    machine.serve(1)
    expect(machine.kv.numRaisedBlocks).toBe(0)
    machine.serve(1, { numTurns: 1 })
    expect(machine.kv.numRaisedBlocks).toBeGreaterThanOrEqual(numPrompt / 16)
    machine.wait(1000)
    machine.serve(2)
    expect(machine.kv.numRaisedBlocks).toBe(0)
  })
})

describe('a newcomer that would push out programs that pause', () => {
  /** Whether it was served within a second, while somebody else ran and two thirds of the pool were kept. */
  function isServedSoon(tenant: string, others: { readonly runs: boolean }): boolean {
    const machine = new Machine(byProgram())
    for (let index = 0; index < 6; index += 1)
      machine.serve(index, { program: `agent ${index}`, tool: 'search' })
    if (others.runs) machine.runInBackground('test')
    return machine.hasServed(2000, tenant, 40)
  }

  it('waits for them, but only behind its own tenant, and only while somebody runs', () => {
    expect(isServedSoon('test', { runs: true })).toBe(false)
    expect(isServedSoon('other', { runs: true })).toBe(true)
    expect(isServedSoon('test', { runs: false })).toBe(true)
  })

  it('waits no longer than the pauses are predicted to last', () => {
    const machine = new Machine(byProgram())
    for (let index = 0; index < 6; index += 1)
      machine.serve(index, { program: `agent ${index}`, tool: 'search' })
    machine.wait(60)
    machine.runInBackground('test')
    expect(machine.hasServed(2000, 'test', 40)).toBe(true)
  })
})
