import { greedySampling } from '../../src/core/sampling-params.ts'
import { plainTerms, type ServiceTerms } from '../../src/core/request.ts'
import { micros, toRequestId, type Micros } from '../../src/core/units.ts'
import { KvCacheManager } from '../../src/kvcache/kv-cache-manager.ts'
import type { SchedulingPolicy } from '../../src/scheduler/policy.ts'
import type { SchedulerConfig } from '../../src/scheduler/scheduler-config.ts'
import { Scheduler } from '../../src/scheduler/scheduler.ts'
import { keysAttended } from '../../src/scheduler/step-work.ts'

export interface VirtualRequest extends Partial<ServiceTerms> {
  readonly at: Micros
  readonly numPrompt: number
  readonly numOutput: number
}

export interface VirtualResult {
  readonly request: VirtualRequest
  readonly firstTokenAt: Micros
  readonly finishedAt: Micros
  /** Between two tokens. */
  readonly longestGap: number
}

/** What a step takes on the made-up machine: about a small model on a few cores. */
function stepMicros(numDecodes: number, numPrefill: number, attended: number): number {
  return 8000 + 400 * numDecodes + 250 * numPrefill + 0.02 * attended
}

export type VirtualConfig = Partial<SchedulerConfig> & {
  readonly numBlocks?: number
  /** A request that is sent because this one has ended. */
  readonly followUp?: (result: VirtualResult) => VirtualRequest | undefined
}

/** Serves requests on a clock of its own; results are in the order of `requests`, and then of what followed them. */
export function runVirtually(
  policy: SchedulingPolicy,
  given: readonly VirtualRequest[],
  config: VirtualConfig = {},
): readonly VirtualResult[] {
  const { numBlocks = 4000, followUp, ...limits } = config
  const requests = [...given]
  const scheduler = new Scheduler(
    {
      maxNumSeqs: 64,
      maxNumBatchedTokens: 512,
      maxModelLen: 4096,
      maxTbtMicros: undefined,
      endTokenIds: [],
      ...limits,
    },
    new KvCacheManager({ numBlocks, blockSize: 32 }),
    policy,
  )
  const arrivals = requests
    .map((request, index) => ({ request, index }))
    .toSorted((a, b) => a.request.at - b.request.at)
  const results: VirtualResult[] = []
  const lastTokenAt = new Map<string, number>()
  const longestGap = new Map<string, number>()
  let now = 0
  while (arrivals.length > 0 || !scheduler.isIdle) {
    while (arrivals[0] !== undefined && arrivals[0].request.at <= now) {
      const { request, index } = arrivals.shift()!
      scheduler.add(toGeneration(request, index))
    }
    const plan = scheduler.schedule(micros(now)) ?? scheduler.schedule(micros(now))
    if (plan === undefined) {
      now = arrivals[0]?.request.at ?? now
      continue
    }
    const { numDecodes, numPrefillTokens } = scheduler.work
    const attended = plan.entries.reduce(
      (sum, each) => sum + keysAttended(each.position, each.tokens.length),
      0,
    )
    const duration = stepMicros(numDecodes, numPrefillTokens, attended)
    now = micros(now + duration)
    const sampled = plan.entries.map(({ samples }) => (samples ? 1 : undefined))
    for (const { sequence, finish } of scheduler.update(plan, sampled, micros(now), duration)) {
      const { id } = sequence.request
      const gap = now - (lastTokenAt.get(id) ?? now)
      longestGap.set(id, Math.max(gap, longestGap.get(id) ?? 0))
      lastTokenAt.set(id, now)
      if (finish === undefined) continue
      const index = Number(id)
      const request = requests[index]!
      results[index] = {
        request,
        firstTokenAt: sequence.firstTokenAt!,
        finishedAt: micros(now),
        longestGap: longestGap.get(id)!,
      }
      const next = followUp?.(results[index])
      if (next === undefined) continue
      const place = arrivals.findIndex((each) => each.request.at > next.at)
      arrivals.splice(place < 0 ? arrivals.length : place, 0, { request: next, index: requests.length })
      requests.push(next)
    }
  }
  return results
}

function toGeneration({ at, numPrompt, numOutput, ...terms }: VirtualRequest, index: number) {
  return {
    ...plainTerms,
    ...terms,
    id: toRequestId(`${index}`),
    // No two prompts share a block.
    promptTokens: Array.from({ length: numPrompt }, (_, position) => index * 10_000 + position),
    outputTokens: [],
    sampling: greedySampling,
    maxTokens: numOutput,
    stopTokenIds: [],
    ignoreEos: true,
    arrivedAt: at,
  }
}
