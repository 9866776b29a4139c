/** A workload on a simulated engine, with the records that a bench run would have. */
import type { RequestRecord } from '../../src/bench/request-record.ts'
import { openLatency } from '../../src/cli/latency-source.ts'
import { defaultServiceClasses, type ServiceClass } from '../../src/core/service-class.ts'
import { routingPolicies } from '../../src/fleet/routing/index.ts'
import type { EvictionName } from '../../src/kvcache/eviction/index.ts'
import type { PolicyName } from '../../src/scheduler/policies/index.ts'
import { simulate } from '../../src/simulator/simulate.ts'
import type { Workload } from '../../src/workload/workload.ts'

export interface SimulatedServer {
  readonly latency: string
  readonly policy: PolicyName
  readonly eviction: EvictionName
  readonly maxNumSeqs: number
  readonly kvTokens: number
  readonly serviceClasses?: readonly ServiceClass[]
}

export function simulated(server: SimulatedServer, workload: Workload): readonly RequestRecord[] {
  const { latency, maxModelLen } = openLatency(server.latency)
  const { policy, maxNumSeqs, kvTokens, eviction } = server
  const blockSize = 32
  return simulate({
    requests: workload.requests,
    blockSize: workload.blockSize,
    history: 'actual',
    engine: {
      planning: {
        maxNumSeqs,
        maxNumBatchedTokens: 512,
        maxTbtMicros: undefined,
        maxModelLen: Math.min(maxModelLen, kvTokens),
        policy,
        serviceClasses: server.serviceClasses ?? defaultServiceClasses,
      },
      numBlocks: Math.floor(kvTokens / blockSize),
      blockSize,
      eviction,
    },
    latency,
    numEngines: 1,
    routing: routingPolicies['round-robin'](),
  }).records
}
