/** From settings to a simulation: `simulate` runs one, `tune` many. */
import { ServingError } from '../core/errors.ts'
import { routingPolicies } from '../fleet/routing/index.ts'
import type { PlannerOptions } from '../simulator/simulated-engine.ts'
import { simulate, type RecordSink, type SimulationResult } from '../simulator/simulate.ts'
import { repeatRequests } from '../workload/transforms/repeat.ts'
import type { Workload } from '../workload/workload.ts'
import { loopOf } from './bench.ts'
import type { LatencySource } from './latency-source.ts'
import type { SimulateSettings } from './simulate-settings.ts'

/** @throws {ServingError} INVALID_CONFIG */
export function simulateWorkload(
  values: SimulateSettings,
  source: LatencySource,
  workload: Workload,
  sink?: RecordSink,
): SimulationResult {
  const loop = loopOf(values)
  return simulate({
    requests: repeatRequests(workload, values.repeat),
    blockSize: workload.blockSize,
    numUsers: loop.kind === 'closed' ? loop.numUsers : undefined,
    history: values.history,
    engine: engineOptions(values, source),
    latency: source.latency,
    numEngines: values.engines,
    routing: routingPolicies[values.routing](),
    sink,
  })
}

function engineOptions(values: SimulateSettings, source: LatencySource): PlannerOptions {
  const { blockSize, maxTbtMs } = values
  const kvTokens = values.kvCacheTokens ?? source.kvTokens
  const maxModelLen = Math.min(values.maxModelLen ?? source.maxModelLen, source.maxModelLen)
  const numBlocks = Math.floor(kvTokens / blockSize)
  if (numBlocks === 0) {
    throw new ServingError('INVALID_CONFIG', `--kv-cache-tokens ${kvTokens} is less than one block.`)
  }
  return {
    planning: {
      maxNumSeqs: values.maxNumSeqs,
      maxNumBatchedTokens: values.maxNumBatchedTokens,
      maxTbtMicros: maxTbtMs === undefined ? undefined : maxTbtMs * 1000,
      maxModelLen,
      policy: values.policy,
      serviceClasses: values.serviceClasses,
      prices: values.tokenPrices,
      localityTokens: values.localityTokens,
    },
    numBlocks,
    blockSize,
    eviction: values.prefixCache ? values.kvEviction : undefined,
  }
}
