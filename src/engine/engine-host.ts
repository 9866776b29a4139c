/** One loaded engine, whoever carries its messages: executor, memory, scheduler, and the step loop over them. */
import { randomInt } from 'node:crypto'
import { createExecutor } from '../executor/create-executor.ts'
import type { Executor } from '../executor/executor.ts'
import { evictionPolicies } from '../kvcache/eviction/index.ts'
import { KvCacheManager, type PrefixCacheConfig } from '../kvcache/kv-cache-manager.ts'
import { policies } from '../scheduler/policies/index.ts'
import { Scheduler } from '../scheduler/scheduler.ts'
import type { SequenceView } from '../scheduler/sequence.ts'
import type { EngineOptions, SchedulerOptions } from './engine-options.ts'
import type { EngineInfo, FromEngine } from './protocol.ts'
import { StepLoop } from './step-loop.ts'
import { systemClock } from './system-clock.ts'

export interface EngineHost {
  readonly info: EngineInfo
  readonly loop: StepLoop
  /** Runs the loop until it is closed, and frees the model then. Rejects when a step breaks. */
  run(): Promise<void>
}

/** @throws {ServingError} when the model, the device or the configuration cannot be used. */
export async function loadEngine(
  options: EngineOptions,
  send: (message: FromEngine) => void,
): Promise<EngineHost> {
  const onProgress = (progress: number): void => send({ type: 'loading', progress })
  const { executor, info } = await createExecutor(options.executor, onProgress)
  const kv = new KvCacheManager(executor.model, prefixCacheOf(options))
  const scheduler = createScheduler(options.scheduler, executor, kv)
  const loop = new StepLoop({ executor, scheduler, kv, clock: systemClock, send })
  return {
    info: { ...executor.model, ...info, eviction: options.eviction, pid: process.pid },
    loop,
    async run() {
      await loop.run()
      await executor.close()
    },
  }
}

/** Keys are this process's secret: nobody can make prompts that collide with somebody else's. */
function prefixCacheOf({ eviction }: EngineOptions): PrefixCacheConfig | undefined {
  return eviction && { eviction: evictionPolicies[eviction](), seed: randomInt(2 ** 48 - 1) }
}

function createScheduler(options: SchedulerOptions, { model }: Executor, kv: KvCacheManager): Scheduler {
  const { maxNumSeqs, maxNumBatchedTokens, maxTbtMs, policy, serviceClasses, prices, localityTokens } =
    options
  const { maxModelLen, endTokenIds } = model
  const maxTbtMicros = maxTbtMs === undefined ? undefined : maxTbtMs * 1000
  const config = { maxNumSeqs, maxNumBatchedTokens, maxTbtMicros, maxModelLen, endTokenIds }
  const numCachedTokens = ({ keys, tokens }: SequenceView) => kv.findPrefix(keys, tokens.length - 1).numTokens
  return new Scheduler(
    config,
    kv,
    policies[policy]({ serviceClasses, prices, localityTokens, numCachedTokens }),
  )
}
