import { RandomStream } from '../../src/core/random.ts'
import { micros, type Micros, type RequestId } from '../../src/core/units.ts'
import { KvCacheManager } from '../../src/kvcache/kv-cache-manager.ts'
import type { SchedulingPolicy, TokenPrices } from '../../src/scheduler/policy.ts'
import { Scheduler } from '../../src/scheduler/scheduler.ts'
import { createRequest } from './generate.ts'

export interface FairLoad {
  readonly seed: number
  /** One tenant each, called by its index. */
  readonly weights: readonly number[]
  readonly maxNumSeqs: number
  readonly maxNumBatchedTokens: number
  readonly numBlocks: number
  readonly mostPrompt: number
  readonly mostOutput: number
}

interface Live {
  readonly tenant: string
  readonly numPrompt: number
  isAdmitted: boolean
}

/**
 * A scheduler that serves made-up tokens, and its own account of who was served what: prompts when they are admitted,
 * output tokens when they are sampled.
 */
export class FairnessRun {
  readonly #load: FairLoad
  readonly #scheduler: Scheduler
  readonly #prices: TokenPrices
  readonly #random: RandomStream
  readonly #live = new Map<RequestId, Live>()
  readonly #service: number[]
  #numAdded = 0
  #now = 0

  constructor(load: FairLoad, policy: SchedulingPolicy, prices: TokenPrices) {
    this.#load = load
    this.#prices = prices
    this.#random = new RandomStream(load.seed)
    this.#service = load.weights.map(() => 0)
    const { maxNumSeqs, maxNumBatchedTokens, numBlocks } = load
    const config = {
      maxNumSeqs,
      maxNumBatchedTokens,
      maxTbtMicros: undefined,
      maxModelLen: 128,
      endTokenIds: [],
    }
    this.#scheduler = new Scheduler(config, new KvCacheManager({ numBlocks, blockSize: 4 }), policy)
  }

  /** Weighted tokens over weight of each tenant so far. */
  normalisedService(): number[] {
    return this.#service.map((service, index) => service / this.#load.weights[index]!)
  }

  add(tenant: string, arrivedAt: Micros): void {
    const { mostPrompt, mostOutput, weights } = this.#load
    const numPrompt = 1 + this.#random.below(mostPrompt)
    const request = createRequest({
      id: `${this.#numAdded}`,
      promptTokens: Array.from({ length: numPrompt }, (_, at) => 1000 * this.#numAdded + at),
      maxTokens: 1 + this.#random.below(mostOutput),
      tenant,
      weight: weights[Number(tenant)] ?? 1,
      arrivedAt,
    })
    this.#numAdded += 1
    this.#live.set(request.id, { tenant, numPrompt, isAdmitted: false })
    this.#scheduler.add(request)
  }

  /** Gives each of these tenants, or all, as many requests as can be admitted in one step, and one more. */
  keepWaiting(tenants: readonly number[] = this.#load.weights.map((_, index) => index)): void {
    for (const index of tenants) {
      const numWaiting = [...this.#live.values()].filter(
        ({ tenant, isAdmitted }) => tenant === `${index}` && !isAdmitted,
      ).length
      const wanted = this.#load.maxNumSeqs + 1
      for (let count = numWaiting; count < wanted; count += 1) this.add(`${index}`, micros(this.#now))
    }
  }

  step(): void {
    this.#now += 1
    const plan = this.#scheduler.schedule(micros(this.#now))
    if (plan === undefined) return
    const sampled = plan.entries.map(({ samples }) => (samples ? 1 + this.#random.below(80) : undefined))
    for (const { requestId, samples } of plan.entries) {
      const live = this.#live.get(requestId)!
      const isFirst = !live.isAdmitted
      live.isAdmitted = true
      const index = Number(live.tenant)
      if (this.#service[index] === undefined) continue
      if (isFirst) this.#service[index] += live.numPrompt * this.#prices.prompt
      if (samples) this.#service[index] += this.#prices.output
    }
    for (const { sequence, finish } of this.#scheduler.update(plan, sampled, micros(this.#now), undefined)) {
      if (finish !== undefined) this.#live.delete(sequence.request.id)
    }
    this.#scheduler.checkInvariants()
  }
}
