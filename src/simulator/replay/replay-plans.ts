/** Plans a recorded run again, and says where the plans differ. */
import { ServingError } from '../../core/errors.ts'
import { greedySampling } from '../../core/sampling-params.ts'
import { evictionPolicies } from '../../kvcache/eviction/index.ts'
import type { SwapperConfig } from '../../kvcache/block-swapper.ts'
import { KvCacheManager } from '../../kvcache/kv-cache-manager.ts'
import { KvTiers } from '../../kvcache/kv-tiers.ts'
import { createPolicy } from '../../scheduler/create-scheduler.ts'
import { Scheduler } from '../../scheduler/scheduler.ts'
import type { SequenceView } from '../../scheduler/sequence.ts'
import type { StepPlan } from '../../scheduler/step-plan.ts'
import type { WaitingQueue } from '../../scheduler/waiting-queue.ts'
import {
  movesLine,
  planLine,
  planLogFormat,
  type LoggedRequest,
  type LoggedSample,
  type LoggedTiers,
  type PlanLogHeader,
  type PlanLogLine,
} from './plan-log.ts'

/** No stand-in is that large. */
const endToken = 2 ** 40

export interface ReplayedPlan {
  /** Line of the log, from 1. */
  readonly line: number
  readonly recorded: string
  readonly replayed: string
  readonly plan: StepPlan | undefined
}

export class PlanReplay {
  readonly kv: KvCacheManager
  readonly scheduler: Scheduler
  /** Who waits, in the policy's order. */
  readonly queue: WaitingQueue
  /** Sequences that were added and have not ended, in order of adding. */
  readonly sequences = new Map<string, SequenceView>()
  #plan: StepPlan | undefined
  #line = 1

  /** @throws {ServingError} INVALID_CONFIG */
  constructor(header: PlanLogHeader) {
    const { planning, numBlocks, blockSize, eviction, tiers } = header
    if (header.format !== planLogFormat) refuse(1, `is not the head of a ${planLogFormat} file`)
    if (tiers?.isKept === true)
      refuse(1, 'the engine had blocks of a life before: what they held is not in the log')
    const swapper = tiers === null ? undefined : swapperOf(tiers)
    const prefixCache =
      eviction === null ? undefined : { eviction: evictionPolicies[eviction](), seed: 1, swapper }
    this.kv = new KvCacheManager({ numBlocks, blockSize }, prefixCache)
    const options = { ...planning, endTokenIds: [endToken] }
    const policy = createPolicy(options, this.kv)
    this.queue = policy.createQueue()
    policy.createQueue = () => this.queue
    this.scheduler = new Scheduler(options, this.kv, policy)
  }

  /** Takes the next line; what was planned comes back for each that plans steps or moves. @throws {ServingError} INVALID_CONFIG */
  apply(line: PlanLogLine): ReplayedPlan | undefined {
    this.#line += 1
    this.#dropFinished()
    if ('plan' in line) {
      invariantLine(this.#plan === undefined, this.#line, 'plans while a step is under way')
      this.#plan = this.scheduler.schedule(line.at)
      const replayed = planLine(this.#plan)
      return { line: this.#line, recorded: line.plan, replayed, plan: this.#plan }
    }
    if ('moves' in line) {
      const replayed = movesLine(this.scheduler.takeTransfers())
      return { line: this.#line, recorded: line.moves, replayed, plan: undefined }
    }
    if ('add' in line) this.#add(line.add)
    else if ('cancel' in line) this.scheduler.cancel(line.cancel)
    else if ('toolCall' in line) this.scheduler.noteToolCall(line.toolCall, line.tool)
    else if ('moved' in line) this.scheduler.finishTransfer(line.moved)
    else this.#end(line)
    return undefined
  }

  #add(request: LoggedRequest): void {
    const admission = this.scheduler.add({ ...request, sampling: greedySampling, stopTokenIds: [] })
    if (admission.kind === 'added') this.sequences.set(request.id, admission.sequence)
  }

  #end({ end, at, micros }: Extract<PlanLogLine, { readonly end: unknown }>): void {
    const plan = this.#plan
    invariantLine(plan !== undefined, this.#line, 'ends a step that was not planned')
    invariantLine(plan.entries.length === end.length, this.#line, 'ends a step with other sequences')
    this.#plan = undefined
    const results = this.scheduler.update(plan, end.map(sampledAs), at, micros ?? undefined)
    for (const { sequence, finish } of results) {
      if (finish !== undefined) this.sequences.delete(sequence.request.id)
    }
  }

  #dropFinished(): void {
    for (const { sequence } of this.scheduler.takeFinished()) this.sequences.delete(sequence.request.id)
  }
}

function swapperOf({ sizes, bytesPerBlock }: LoggedTiers): SwapperConfig {
  return { tiers: new KvTiers(sizes, bytesPerBlock), keptTier: undefined }
}

function sampledAs(sample: LoggedSample): number | 'failed' {
  return sample === 'stop' ? endToken : sample
}

function invariantLine(condition: unknown, line: number, problem: string): asserts condition {
  if (!condition) refuse(line, problem)
}

function refuse(line: number, problem: string): never {
  throw new ServingError('INVALID_CONFIG', `line ${line}: ${problem}`)
}
