import type { Micros } from '../../core/units.ts'
import type { PolicyOptions, Served } from '../policy.ts'
import { HeapQueue } from '../queues/heap-queue.ts'
import { LaneQueue } from '../queues/lane-queue.ts'
import type { Sequence, SequenceView } from '../sequence.ts'
import { defaultPrices, FairShare } from './fair-share.ts'
import { ProgramOrder } from './program-order.ts'

/** Lanes that are searched for a prompt with cached tokens. */
const mostHeads = 16

const tenantOf = ({ request }: SequenceView): string => request.tenant
const weightOf = ({ request }: SequenceView): number => request.weight

/**
 * Fairness between tenants and, inside each, between programs: the queue, the accounts behind it, and who has to give
 * way. `fair` is this alone; composed policies keep one for each class.
 */
export class TenantOrder {
  /** Tenants by what they were served; inside a tenant, programs by virtual finish time. */
  readonly queue: LaneQueue
  readonly #share: FairShare
  readonly #programs: ProgramOrder
  readonly #localityTokens: number
  readonly #numCachedTokens: ((sequence: SequenceView) => number) | undefined

  /** `requestsPerPlace`: see `ProgramOrder`. */
  constructor(options: PolicyOptions, requestsPerPlace: number | undefined) {
    const prices = options.prices ?? defaultPrices
    this.#localityTokens = options.localityTokens ?? 0
    this.#numCachedTokens = options.numCachedTokens
    this.#programs = new ProgramOrder({ prices, requestsPerPlace })
    this.#share = new FairShare({
      prices,
      nameOf: tenantOf,
      weightOf,
      isWaiting: (name) => this.queue.has(name),
      onChange: (name) => this.queue.refresh(name),
    })
    this.queue = this.#createQueue()
  }

  onAdmitted(sequence: SequenceView): void {
    this.#share.admit(sequence)
    this.#programs.admit(sequence)
  }

  onServed(served: Served): void {
    this.#share.serve(served)
  }

  onFinished(sequence: SequenceView): void {
    this.#share.finish(sequence)
    this.#programs.finish(sequence)
  }

  /** The last admitted of the tenant that was served most. */
  pickVictim(running: readonly SequenceView[]): SequenceView | undefined {
    let victim: SequenceView | undefined
    let most = -Infinity
    for (const sequence of running) {
      const counter = this.#share.counterOf(tenantOf(sequence))
      if (counter < most) continue
      most = counter
      victim = sequence
    }
    return victim
  }

  /**
   * The last admitted of the tenant that holds most places for its weight, if it was served no less than the tenant of
   * `next` and still holds no fewer places than that one afterwards. Each such change lowers the sum over tenants of
   * places squared over weight, so it cannot go round in circles.
   */
  pickYielding(next: SequenceView, running: readonly SequenceView[]): SequenceView | undefined {
    const places = new Map<string, number>()
    for (const each of running) places.set(tenantOf(each), (places.get(tenantOf(each)) ?? 0) + 1)
    const counter = this.#share.counterOf(tenantOf(next))
    const held = ((places.get(tenantOf(next)) ?? 0) + 1) / weightOf(next)
    let most = held
    let yielding: SequenceView | undefined
    for (const each of running) {
      const afterwards = (places.get(tenantOf(each))! - 1) / weightOf(each)
      if (tenantOf(each) === tenantOf(next) || afterwards < most) continue
      if (this.#share.counterOf(tenantOf(each)) < counter) continue
      most = afterwards
      yielding = each
    }
    return yielding
  }

  /** Before another tenant that was served no less. */
  goesAhead(next: SequenceView, other: SequenceView): boolean {
    const [own, each] = [tenantOf(next), tenantOf(other)]
    return own !== each && this.#share.counterOf(each) >= this.#share.counterOf(own)
  }

  #createQueue(): LaneQueue {
    const createLane = (): HeapQueue => new HeapQueue((a, b) => this.#programs.compare(a, b))
    const queue: LaneQueue = new LaneQueue({
      laneOf: tenantOf,
      keyOf: (name) => this.#share.counterOf(name),
      loadOf: (name) => this.#share.loadOf(name),
      createLane,
      onAdd: (sequence, isFirst) => {
        if (isFirst) this.#share.open(sequence, queue.leastKey)
        this.#programs.tag(sequence)
      },
      ...(this.#localityTokens > 0 && { choose: (now: Micros) => this.#hottest(queue, now) }),
    })
    return queue
  }

  /**
   * The first in line whose prompt the cache holds most of, among tenants at most `localityTokens` ahead of the one
   * served least, which is how far a tenant can fall behind for it (deficit longest prefix match; Cao et al.,
   * Locality-aware Fair Scheduling in LLM Serving, 2025).
   */
  #hottest(queue: LaneQueue, now: Micros): Sequence | undefined {
    const heads = queue.headsWithin((queue.leastKey ?? 0) + this.#localityTokens, mostHeads, now)
    let hottest = heads[0]
    let mostCached = 0
    for (const head of heads) {
      const numCached = this.#numCachedTokens?.(head) ?? 0
      if (numCached > mostCached) [hottest, mostCached] = [head, numCached]
    }
    return hottest
  }
}
