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

/** A pool for eight prompts, served one request at a time, a tenth of a second each. */
class Machine {
  readonly #kv: KvCacheManager
  readonly #scheduler: Scheduler
  #numRequests = 0
  #now = 0

  constructor(policy: SchedulingPolicy, eviction: EvictionName = 'value') {
    this.#kv = new KvCacheManager(
      { numBlocks: 42, blockSize: 16 },
      { eviction: evictionPolicies[eviction](), seed: 1 },
    )
    const limits = { maxNumSeqs: 4, maxNumBatchedTokens: 512, maxModelLen: 512, endTokenIds: [0] }
    this.#scheduler = new Scheduler({ ...limits, maxTbtMicros: undefined }, this.#kv, policy)
  }

  wait(seconds: number): void {
    this.#now += seconds * second
  }

  /** Serves a request that begins like others of this name, and says how many of its tokens were cached. */
  serve(name: number, { program, tool, numTurns = 0 }: Terms = {}): number {
    const promptTokens = Array.from({ length: numPrompt }, (_, index) => 1000 * name + index + 1)
    for (let turn = 0; turn < numTurns; turn += 1) promptTokens.push(...answer, 20 + turn)
    const id = `${this.#numRequests++}`
    const arrivedAt = micros(this.#now)
    const request = createRequest({ id, promptTokens, maxTokens: answer.length, program, arrivedAt })
    const admission = this.#scheduler.add(request)
    if (admission.kind !== 'added') throw new Error(admission.message)
    if (tool !== undefined) this.#scheduler.noteToolCall(toRequestId(id), tool)
    for (;;) {
      const plan = this.#scheduler.schedule(micros(this.#now))
      if (plan === undefined) return admission.sequence.numCachedTokens
      this.#now += second / 40
      const sampled = plan.entries.map(({ samples }) => (samples ? answer[0] : undefined))
      this.#scheduler.update(plan, sampled, micros(this.#now), second / 40)
      this.#scheduler.checkInvariants()
    }
  }

  /** Serves strangers until all of the pool has been used anew. */
  serveStrangers(count = 12): void {
    for (let index = 0; index < count; index += 1) this.serve(1000 + this.#numRequests)
  }
}

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
    const foundAfter = (policy: SchedulingPolicy, numTurns: number): number => {
      const machine = new Machine(policy)
      let found = 0
      for (let turn = 0; turn <= numTurns; turn += 1) {
        if (turn === numTurns) machine.serveStrangers(40)
        found = machine.serve(1, { numTurns: turn })
      }
      return found
    }
    expect(foundAfter(byProgram(), 1)).toBe(0)
    expect(foundAfter(byProgram(), 2)).toBeGreaterThan(numPrompt)
    expect(foundAfter(fcfs(), 2)).toBe(0)
  })
})
