/**
 * Prints how much of a recorded load each eviction policy finds again, in pools of several sizes: prompts one after
 * another, in the format of Mooncake's traces (`hash_ids`, one for 512 tokens). Usage: kv-eviction.ts FILE.jsonl[.gz] ...
 */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { toSequenceId } from '../src/core/units.ts'
import { evictionNames, evictionPolicies, type EvictionName } from '../src/kvcache/eviction/index.ts'
import { KvCacheManager } from '../src/kvcache/kv-cache-manager.ts'
import { table } from './report.ts'

/** Of the trace. A block of the pool stands for as many tokens, and holds one id. */
const tokensPerId = 512
/** Attention makes a token at this position cost twice what the first one costs. */
const positionOfDoubleCost = 8192
const shares = [0.05, 0.1, 0.2, 0.33]

function readPrompts(path: string): number[][] {
  const bytes = readFileSync(path)
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()
  const records = text.split('\n').filter((line) => line !== '')
  return records.map((line) => (JSON.parse(line) as { hash_ids: number[] }).hash_ids)
}

/** Time to compute so many ids, in that of one at the beginning. */
const costOf = (numIds: number) => numIds + (numIds ** 2 * tokensPerId) / (2 * positionOfDoubleCost)

function replay(prompts: readonly number[][], name: EvictionName, numBlocks: number) {
  const policy = evictionPolicies[name]()
  const eviction = {
    ...policy,
    priorityOf: (use: Parameters<typeof policy.priorityOf>[0]) =>
      policy.priorityOf({ ...use, position: use.position * tokensPerId }),
  }
  const kv = new KvCacheManager({ numBlocks, blockSize: 1 }, { eviction, seed: 1 })
  let cost = 0
  let costWithout = 0
  for (const [index, prompt] of prompts.entries()) {
    if (prompt.length + 1 > numBlocks) continue
    // One more for the answer: the last token is always computed.
    const tokens = [...prompt, -1]
    const keys = kv.createKeys('', tokens)
    const id = toSequenceId(index + 1)
    const sizes = { numTokens: tokens.length, maxTokens: tokens.length, numPromptTokens: tokens.length }
    const started = kv.start({ id, keys, retention: 1, ...sizes }, kv.findPrefix(keys, prompt.length))
    cost += costOf(prompt.length) - costOf(started!.numTokens)
    costWithout += costOf(prompt.length)
    kv.noteComputed(id, prompt.length)
    kv.free(id)
    kv.endStep()
  }
  const { numHitTokens, numIdealTokens } = kv.stats
  return { hits: numHitTokens / numIdealTokens, cost: cost / costWithout }
}

for (const path of process.argv.slice(2)) {
  const prompts = readPrompts(path)
  const numIds = new Set(prompts.flat()).size
  const rows = shares.flatMap((share) =>
    evictionNames.map((name) => {
      const { hits, cost } = replay(prompts, name, Math.floor(numIds * share))
      return [`${share} of all blocks, ${name}`, hits.toFixed(3), cost.toFixed(3)]
    }),
  )
  process.stdout.write(
    `${basename(path)}: ${prompts.length} prompts, ${numIds} blocks of ${tokensPerId} tokens\n\n`,
  )
  process.stdout.write(`${table(['pool', 'hits of an infinite cache', 'cost left'], rows)}\n`)
}
