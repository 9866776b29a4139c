/** Tiers below the KV pool on /metrics. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { EngineClient } from '../engine/engine-client.ts'
import type { EngineStats } from '../engine/protocol.ts'

type SwapStats = NonNullable<EngineStats['swap']>

const tierStates = {
  free: (tier) => tier.numFree,
  kept: (tier) => tier.numKept,
  moving: (tier) => tier.numSlots - tier.numFree - tier.numKept,
  retired: (tier) => tier.numRetired,
} as const satisfies Record<string, (tier: SwapStats['tiers'][number]) => number>

/** Adds the metrics of moves between the pool and the tiers below it, read when they are asked for. */
export function addSwapMetrics(registry: Registry, engine: EngineClient): void {
  new Gauge({
    name: 'switchyard_kv_tier_blocks',
    help: 'Room of each tier in blocks, by state: free, kept, being moved, and retired because writing failed.',
    labelNames: ['tier', 'state'],
    registers: [registry],
    collect() {
      this.reset()
      for (const tier of engine.stats?.swap?.tiers ?? []) {
        for (const [state, read] of Object.entries(tierStates)) this.labels(tier.name, state).set(read(tier))
      }
    },
  })
  const counter = (
    name: string,
    help: string,
    label: string | undefined,
    read: (swap: SwapStats) => Readonly<Record<string, number>>,
  ) =>
    new Counter({
      name,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [registry],
      collect() {
        this.reset()
        const swap = engine.stats?.swap
        if (swap === undefined) return
        for (const [value, count] of Object.entries(read(swap))) {
          if (label === undefined) this.inc(count)
          else this.labels(value).inc(count)
        }
      },
    })
  const byTier = (swap: SwapStats, name: 'numBlocksRead' | 'numBlocksWritten') =>
    Object.fromEntries(swap.tiers.map((tier) => [tier.name, tier[name]]))
  counter(
    'switchyard_kv_moved_bytes_total',
    'Bytes moved between the KV pool and the tiers below it: out for room or to keep, in to resume or for a prefix.',
    'reason',
    ({ movedBytes }) => movedBytes,
  )
  counter(
    'switchyard_kv_tier_hits_total',
    'Blocks that a tier had for somebody who came back.',
    'tier',
    (swap) => byTier(swap, 'numBlocksRead'),
  )
  counter('switchyard_kv_tier_written_total', 'Blocks written to a tier.', 'tier', (swap) =>
    byTier(swap, 'numBlocksWritten'),
  )
  counter(
    'switchyard_kv_dropped_blocks_total',
    'Evicted blocks: a tier has them; only partly filled; cheaper to compute again; no time to write them.',
    'cause',
    (swap) => ({
      kept: swap.numClean,
      partial: swap.numPartial,
      cheap: swap.numCheap,
      hurried: swap.numHurried,
    }),
  )
  counter(
    'switchyard_kv_failed_moves_total',
    'Blocks that a tier could not write, or not give back as they were.',
    'direction',
    (swap) => ({ out: swap.numFailedWrites, in: swap.numFailedReads }),
  )
  counter(
    'switchyard_kv_waited_steps_total',
    'Steps that could not begin before a move was done.',
    undefined,
    (swap) => ({ all: swap.numWaitedSteps }),
  )
  counter(
    'switchyard_kv_waited_seconds_total',
    'Time in which nothing ran because of that.',
    undefined,
    (swap) => ({ all: swap.waitedMicros / 1e6 }),
  )
}
