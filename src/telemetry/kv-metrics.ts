/** The KV cache on /metrics: vLLM's names where it has them, our own for the rest. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { EngineClient } from '../engine/engine-client.ts'
import type { EngineStats } from '../engine/protocol.ts'

type KvStats = EngineStats['kv']

const blockStates = {
  free: (kv) => kv.numFreeBlocks,
  owned: (kv) => kv.numOwnedBlocks,
  cached: (kv) => kv.numCachedBlocks,
} as const satisfies Record<string, (kv: KvStats) => number>

const evictionReasons = {
  room: (kv) => kv.numEvictedForRoom,
  order: (kv) => kv.numEvictedForOrder,
} as const satisfies Record<string, (kv: KvStats) => number>

/** Adds the metrics of the engine's KV cache, read when they are asked for. */
export function addKvMetrics(registry: Registry, engine: EngineClient): void {
  addCounters(registry, engine)
  addGauges(registry, engine)
  new Gauge({
    name: 'vllm:cache_config_info',
    help: 'Settings of the KV cache, as labels.',
    labelNames: ['block_size', 'num_gpu_blocks', 'enable_prefix_caching', 'eviction'],
    registers: [registry],
    async collect() {
      this.reset()
      if (engine.status.state !== 'ready') return
      const { blockSize, numBlocks, eviction } = await engine.ready()
      const enabled = eviction === undefined ? 'False' : 'True'
      this.labels(`${blockSize}`, `${numBlocks}`, enabled, eviction ?? 'none').set(1)
    },
  })
}

function addCounters(registry: Registry, engine: EngineClient): void {
  const counter = (name: string, help: string, read: (kv: KvStats) => number) =>
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset()
        if (engine.stats !== undefined) this.inc(read(engine.stats.kv))
      },
    })
  counter(
    'vllm:prefix_cache_queries_total',
    'Prompt tokens looked for in the prefix cache.',
    (kv) => kv.numQueriedTokens,
  )
  counter('vllm:prefix_cache_hits_total', 'Prompt tokens found in the prefix cache.', (kv) => kv.numHitTokens)
  counter(
    'switchyard_kv_ideal_hits_total',
    'Prompt tokens that a cache of infinite size would have found.',
    (kv) => kv.numIdealTokens,
  )
  counter(
    'switchyard_kv_resumed_tokens_total',
    'Tokens of sequences that came back after a preemption.',
    (kv) => kv.numResumedTokens,
  )
  counter(
    'switchyard_kv_resumed_hits_total',
    'Those of them that were still cached.',
    (kv) => kv.numResumedHitTokens,
  )
  counter(
    'switchyard_kv_copied_blocks_total',
    'Blocks copied because sequences part within them.',
    (kv) => kv.numCopiedBlocks,
  )
  counter(
    'switchyard_kv_compacted_blocks_total',
    'Blocks moved while nobody waited, so that a sequence lies in fewer runs.',
    (kv) => kv.numCompactedBlocks,
  )
  new Counter({
    name: 'switchyard_kv_evicted_blocks_total',
    help: 'Cached blocks that had to go: for room, or so that a newcomer lies in one piece.',
    labelNames: ['reason'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [reason, read] of Object.entries(evictionReasons)) {
        this.labels(reason).inc(engine.stats === undefined ? 0 : read(engine.stats.kv))
      }
    },
  })
}

function addGauges(registry: Registry, engine: EngineClient): void {
  const gauge = (name: string, help: string, read: (kv: KvStats) => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(engine.stats === undefined ? 0 : read(engine.stats.kv))
      },
    })
  gauge(
    'switchyard_kv_extents_per_sequence',
    'Runs of blocks that a running sequence has, on average.',
    (kv) => ratio(kv.numExtents, kv.numSequences),
  )
  gauge('switchyard_kv_mean_run_blocks', 'Mean length in blocks of these runs.', (kv) =>
    ratio(kv.numTableBlocks, kv.numExtents),
  )
  new Gauge({
    name: 'switchyard_kv_blocks',
    help: 'Blocks of the KV pool by state.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      for (const [state, read] of Object.entries(blockStates)) {
        this.labels(state).set(engine.stats === undefined ? 0 : read(engine.stats.kv))
      }
    },
  })
}

const ratio = (value: number, by: number) => (by > 0 ? value / by : 0)
