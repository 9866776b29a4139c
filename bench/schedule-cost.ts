/**
 * Prints what the scheduler costs per step in JavaScript: 256 sequences decode while 10,000 of 1000 tenants wait; and by
 * how much the heap is larger after all measured steps than after half of them. Run with `node --expose-gc`.
 */
import { RandomStream } from '../src/core/random.ts'
import { plainTerms, type GenerationRequest } from '../src/core/request.ts'
import { greedySampling } from '../src/core/sampling-params.ts'
import { defaultServiceClasses } from '../src/core/service-class.ts'
import { micros, toRequestId } from '../src/core/units.ts'
import { evictionPolicies } from '../src/kvcache/eviction/index.ts'
import { KvCacheManager } from '../src/kvcache/kv-cache-manager.ts'
import { policies, policyNames, type PolicyName } from '../src/scheduler/policies/index.ts'
import { Scheduler } from '../src/scheduler/scheduler.ts'
import { table } from './report.ts'

const numRunning = 256
const numWaiting = 10_000
const numWarmUp = 300
const numMeasured = 2000
const classes = defaultServiceClasses.map(({ name }) => name)

interface Case {
  readonly name: string
  readonly numBlocks: number
  readonly maxTbtMicros: number | undefined
  /** With a prefix cache, and so with what programs leave in it. */
  readonly isCached?: boolean
}

const cases: readonly Case[] = [
  { name: 'ample pool', numBlocks: 40_000, maxTbtMicros: undefined },
  { name: 'pool too small', numBlocks: 2000, maxTbtMicros: undefined },
  { name: 'prefix cache', numBlocks: 40_000, maxTbtMicros: undefined, isCached: true },
  { name: 'target of 50 ms', numBlocks: 40_000, maxTbtMicros: 50_000 },
]

function requestAt(index: number, random: RandomStream): GenerationRequest {
  return {
    id: toRequestId(`request-${index}`),
    promptTokens: Array.from({ length: 16 + random.below(200) }, () => random.below(50_000)),
    outputTokens: [],
    sampling: greedySampling,
    maxTokens: 50 + random.below(800),
    stopTokenIds: [],
    ignoreEos: false,
    ...plainTerms,
    tenant: `tenant-${random.below(1000)}`,
    serviceClass: classes[random.below(classes.length)]!,
    program: `program-${random.below(10)}`,
    arrivedAt: micros(index),
  }
}

/** Arrivals replace what finishes, so that the load stays as it is. */
function measure(policy: PolicyName, { numBlocks, maxTbtMicros, isCached = false }: Case) {
  const random = new RandomStream(7)
  const kv = new KvCacheManager(
    { numBlocks, blockSize: 32 },
    isCached ? { eviction: evictionPolicies.value(), seed: 1, mostSeenKeys: 0 } : undefined,
  )
  const config = { maxNumSeqs: numRunning, maxNumBatchedTokens: 2048, maxModelLen: 8192, endTokenIds: [0] }
  const scheduler = new Scheduler({ ...config, maxTbtMicros }, kv, policies[policy]())
  const times: { schedule: number; update: number }[] = []
  let numAdded = 0
  let halfwayBytes = 0
  for (let step = 0; step < numWarmUp + numMeasured; step += 1) {
    while (scheduler.numWaiting < numWaiting) scheduler.add(requestAt(numAdded++, random))
    const startedAt = performance.now()
    const plan = scheduler.schedule(micros(step * 1000))
    const scheduledAt = performance.now()
    if (!plan) throw new Error('nothing to schedule')
    const sampled = plan.entries.map(({ samples }) => (samples ? 1 + random.below(50_000) : undefined))
    const stepMicros = 20_000 + 40 * plan.numTokens
    const updateAt = performance.now()
    scheduler.update(plan, sampled, micros(step * 1000), stepMicros)
    if (step === numWarmUp + numMeasured / 2) halfwayBytes = heapBytes()
    times.push({ schedule: scheduledAt - startedAt, update: performance.now() - updateAt })
  }
  return { times: times.slice(numWarmUp), scheduler, grownBytes: heapBytes() - halfwayBytes }
}

/** What is reachable; NaN without `--expose-gc`. */
function heapBytes(): number {
  if (globalThis.gc === undefined) return NaN
  globalThis.gc()
  return process.memoryUsage().heapUsed
}

function percentile(values: readonly number[], share: number): string {
  const sorted = values.toSorted((a, b) => a - b)
  return (sorted[Math.floor(share * (sorted.length - 1))]! * 1000).toFixed(0)
}

const rows = policyNames.flatMap((policy) =>
  cases.map((each) => {
    const { times, scheduler, grownBytes } = measure(policy, each)
    const schedule = times.map((time) => time.schedule)
    const update = times.map((time) => time.update)
    return [
      `${policy}, ${each.name}`,
      `${scheduler.numRunning}`,
      `${scheduler.numPreemptionsTotal}`,
      ...[schedule, update].flatMap((values) => [percentile(values, 0.5), percentile(values, 0.99)]),
      (grownBytes / 2 ** 20).toFixed(1),
    ]
  }),
)
const header = [
  'microseconds per step',
  'running',
  'preemptions',
  'schedule p50',
  'p99',
  'update p50',
  'p99',
  'MiB grown',
]
process.stdout.write(table(header, rows))
