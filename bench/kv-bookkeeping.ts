/**
 * Prints what the bookkeeping of the prefix cache costs: 10,000 cached conversations in a pool of 2 million blocks,
 * and more of them coming. Everything but the memory of the KV itself is real.
 */
import { RandomStream } from '../src/core/random.ts'
import { toSequenceId } from '../src/core/units.ts'
import { evictionNames, evictionPolicies, type EvictionName } from '../src/kvcache/eviction/index.ts'
import { KvCacheManager } from '../src/kvcache/kv-cache-manager.ts'
import { table } from './report.ts'

const blockSize = 32
const numBlocks = 2_000_000
const numConversations = 10_000
const blocksEach = numBlocks / numConversations
const numMeasured = 3000

type Times = Record<'hash' | 'lookup' | 'miss' | 'start' | 'insert' | 'free' | 'evict', number[]>

const random = new RandomStream(17)
const system = tokens(20 * blockSize)

function tokens(length: number): number[] {
  return Array.from({ length }, () => random.below(150_000))
}

/** A tenth of a conversation is a beginning that all share. */
const conversation = () => [...system, ...tokens((blocksEach - 20) * blockSize)]

function measure(name: EvictionName): { times: Times; kv: KvCacheManager; heapBytes: number } {
  const before = process.memoryUsage()
  const kv = new KvCacheManager({ numBlocks, blockSize }, { eviction: evictionPolicies[name](), seed: 5 })
  const times: Times = { hash: [], lookup: [], miss: [], start: [], insert: [], free: [], evict: [] }
  let nextId = 1
  const timed = <Result>(kind: keyof Times, per: number, work: () => Result): Result => {
    const startedAt = performance.now()
    const result = work()
    times[kind].push(((performance.now() - startedAt) * 1000) / per)
    return result
  }
  const serve = (prompt: readonly number[]): void => {
    const keys = kv.createKeys('', prompt)!
    timed('hash', blocksEach, () => keys.offsetOf(keys.numBlocks - 1))
    const hit = timed('lookup', 1, () => kv.findPrefix(keys, prompt.length - 1))
    const id = toSequenceId(nextId++)
    const of = { id, keys, numTokens: prompt.length, maxTokens: prompt.length, retention: 1 }
    const numEvicted = numEvictedBy(kv)
    const startedAt = performance.now()
    const started = kv.start({ ...of, numPromptTokens: prompt.length }, hit)
    const micros = (performance.now() - startedAt) * 1000
    if (!started) throw new Error('there is no room')
    const numGone = numEvictedBy(kv) - numEvicted
    if (numGone >= blocksEach / 2) times.evict.push(micros / numGone)
    else times.start.push(micros)
    const numNew = blocksEach - hit.numBlocks
    timed('insert', Math.max(1, numNew), () => kv.noteComputed(id, prompt.length))
    timed('free', blocksEach, () => kv.free(id))
    kv.endStep()
  }
  // Fewer than the pool holds at first: what it then evicts is measured.
  const recent: number[][] = []
  for (let count = 0; count < numConversations * 1.15; count += 1) {
    const prompt = conversation()
    if (recent.length < 200) recent.push(prompt)
    else recent[random.below(200)] = prompt
    serve(prompt)
  }
  for (const list of Object.values(times)) list.length = 0
  for (let count = 0; count < numMeasured; count += 1) {
    const old = recent[random.below(recent.length)]!
    const isTurn = count % 3 === 0
    const prompt = isTurn ? [...old.slice(0, -blockSize), ...tokens(blockSize)] : conversation()
    serve(prompt)
    const unknown = kv.createKeys('nobody', prompt)!
    unknown.offsetOf(unknown.numBlocks - 1)
    timed('miss', 1, () => kv.findPrefix(unknown, prompt.length - 1))
  }
  kv.checkInvariants()
  recent.length = 0
  globalThis.gc?.()
  const after = process.memoryUsage()
  const heapBytes = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  return { times, kv, heapBytes }
}

function numEvictedBy({ stats }: KvCacheManager): number {
  return stats.numEvictedForRoom + stats.numEvictedForOrder
}

function percentile(values: readonly number[], share: number): string {
  const sorted = values.toSorted((a, b) => a - b)
  return (sorted[Math.floor(share * (sorted.length - 1))] ?? NaN).toFixed(2)
}

const labels: Record<keyof Times, string> = {
  hash: 'make a key, per block',
  lookup: 'look up a conversation',
  miss: 'look up an unknown one',
  start: 'start one that evicts little',
  insert: 'insert, per block',
  free: 'let go, per block',
  evict: 'start one, per block evicted',
}

for (const name of evictionNames) {
  const { times, kv, heapBytes } = measure(name)
  const { numCachedBlocks, numFreeBlocks } = kv.stats
  const rows = (Object.keys(labels) as (keyof Times)[]).map((kind) => [
    labels[kind],
    `${times[kind].length}`,
    ...[0.5, 0.99, 1].map((share) => percentile(times[kind], share)),
  ])
  process.stdout.write(
    `${name}: ${numCachedBlocks} blocks cached, ${numFreeBlocks} free; ` +
      `${(kv.numBookkeepingBytes / numBlocks).toFixed(1)} bytes a block in typed arrays, ` +
      `${(heapBytes / numBlocks).toFixed(1)} with the heap\n\n`,
  )
  process.stdout.write(`${table(['microseconds', 'times', 'p50', 'p99', 'longest'], rows)}\n`)
}
