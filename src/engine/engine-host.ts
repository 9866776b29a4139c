/** One loaded engine, whoever carries its messages: executor, memory, scheduler, and the step loop over them. */
import { createExecutor, type CreatedExecutor } from '../executor/create-executor.ts'
import type { Executor } from '../executor/executor.ts'
import { reserveFileSpace } from '../ggml/file-space.ts'
import type { SwapperConfig } from '../kvcache/block-swapper.ts'
import { evictionPolicies } from '../kvcache/eviction/index.ts'
import { GrammarEngine } from '../grammar/grammar-engine.ts'
import { KvCacheManager, type KvCacheSize, type PrefixCacheConfig } from '../kvcache/kv-cache-manager.ts'
import { StepProfiler } from '../profile/step-profiler.ts'
import { createScheduler, type PlanningOptions } from '../scheduler/create-scheduler.ts'
import { planLogFormat, type LoggedTiers } from '../simulator/replay/plan-log.ts'
import type { EngineOptions } from './engine-options.ts'
import { grammarVocabulary } from './grammar-vocabulary.ts'
import { NewFile } from './new-file.ts'
import { PlanFile } from './plan-file.ts'
import type { EngineInfo, FromEngine } from './protocol.ts'
import { StepLoop } from './step-loop.ts'
import { storeIdentity } from './store-identity.ts'
import { newSeed, Swapping, type SwappingEnvironment } from './swapping.ts'
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
  wrapFile?: SwappingEnvironment['wrapFile'],
): Promise<EngineHost> {
  const onProgress = (progress: number): void => send({ type: 'loading', progress })
  const { executor, info } = await createExecutor(executorOptions(options), onProgress)
  const profiler =
    options.profile === undefined ? undefined : openProfile(options.profile, options, { executor, info })
  const swapping = await openSwapping(options, executor, wrapFile)
  const kv = new KvCacheManager(executor.model, prefixCacheOf(options, swapping))
  const planning = planningOf(options, executor)
  const planned = createScheduler(planning, kv)
  const { recordPlans } = options
  const plans =
    recordPlans === undefined
      ? undefined
      : openPlanFile(recordPlans, options, { planning, size: executor.model, swapping })
  const scheduler = plans?.record(planned) ?? planned
  const grammars = new GrammarEngine(grammarVocabulary(options.executor, executor.model))
  const loop = new StepLoop({
    executor,
    scheduler,
    kv,
    swapping,
    grammars,
    clock: systemClock,
    send,
    profiler,
  })
  return {
    info: { ...executor.model, ...info, eviction: options.eviction, pid: process.pid },
    loop,
    async run() {
      await loop.run()
      plans?.close()
      profiler?.close()
      await swapping?.close()
      await executor.close()
    },
  }
}

/** Groups of layers that a profile tells apart. */
const profiledLayerGroups = 4

function executorOptions({ executor, profile }: EngineOptions): EngineOptions['executor'] {
  if (profile === undefined || executor.kind === 'fake') return executor
  return { ...executor, numLayerGroups: profiledLayerGroups }
}

function openProfile(path: string, { executor }: EngineOptions, created: CreatedExecutor): StepProfiler {
  const { device, numThreads } = created.info
  return new StepProfiler(new NewFile(path, 'profile'), {
    format: 'switchyard-profile/1',
    modelPath: executor.kind === 'ggml' ? executor.modelPath : 'none',
    device,
    numThreads,
    kvBytesPerToken: created.executor.model.kvBytesPerToken,
  })
}

async function openSwapping(
  options: EngineOptions,
  executor: Executor,
  wrapFile: SwappingEnvironment['wrapFile'],
): Promise<Swapping | undefined> {
  const { tiers, eviction } = options
  if (tiers === undefined || eviction === undefined || tiers.hostBytes + tiers.diskBytes === 0)
    return undefined
  return Swapping.open(tiers, executor.blocks, {
    identity: await storeIdentity(options.executor, executor.model),
    log: (line) => console.error(line),
    reserveSpace: reserveFileSpace,
    ...(wrapFile === undefined ? {} : { wrapFile }),
  })
}

function prefixCacheOf(
  { eviction }: EngineOptions,
  swapping: Swapping | undefined,
): PrefixCacheConfig | undefined {
  const seed = swapping?.seed ?? newSeed()
  return eviction && { eviction: evictionPolicies[eviction](), seed, swapper: swapping?.config }
}

function planningOf({ scheduler }: EngineOptions, { model }: Executor): PlanningOptions {
  const { maxTbtMs, ...options } = scheduler
  const { maxModelLen, endTokenIds } = model
  const maxTbtMicros = maxTbtMs === undefined ? undefined : maxTbtMs * 1000
  return { ...options, maxTbtMicros, maxModelLen, endTokenIds }
}

function openPlanFile(
  path: string,
  options: EngineOptions,
  parts: {
    readonly planning: PlanningOptions
    readonly size: KvCacheSize
    readonly swapping: Swapping | undefined
  },
): PlanFile {
  const { planning, size, swapping } = parts
  const { numBlocks, blockSize } = size
  const eviction = options.eviction ?? null
  const tiers = swapping === undefined ? null : loggedTiers(swapping.config)
  return new PlanFile(path, { format: planLogFormat, planning, numBlocks, blockSize, eviction, tiers })
}

function loggedTiers({ tiers, keptTier }: SwapperConfig): LoggedTiers {
  const { names, fills, bytesPerBlock } = tiers
  const sizes = names.map((name, tier) => ({ name, numSlots: fills[tier]!.numSlots }))
  const isKept = keptTier !== undefined || fills.some(({ numKept }) => numKept > 0)
  return { sizes, bytesPerBlock, isKept }
}
