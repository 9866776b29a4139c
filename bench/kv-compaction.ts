/**
 * How many extents sequences have under a random load, without compaction and with it: arrivals come in bursts that
 * fill the pool to a share, and between them everybody decodes and nobody waits. Counts, the same on any machine:
 *
 *   npx tsx bench/kv-compaction.ts [--blocks 2000] [--steps 20000]
 */
import { parseArgs } from 'node:util'
import { RandomStream } from '../src/core/random.ts'
import { toSequenceId } from '../src/core/units.ts'
import { evictionPolicies } from '../src/kvcache/eviction/index.ts'
import { KvCacheManager } from '../src/kvcache/kv-cache-manager.ts'
import { table } from './report.ts'

const { values } = parseArgs({
  options: { blocks: { type: 'string', default: '2000' }, steps: { type: 'string', default: '20000' } },
})
const numBlocks = Number(values.blocks)
const numSteps = Number(values.steps)
const blockSize = 32
const stepsBetweenBursts = 200

interface Decoding {
  readonly id: ReturnType<typeof toSequenceId>
  length: number
  readonly finalLength: number
}

interface Load {
  readonly fullness: number
  readonly caches: boolean
  readonly compacts: boolean
}

class Pool {
  readonly kv: KvCacheManager
  readonly #load: Load
  readonly #random = new RandomStream(11)
  #running: Decoding[] = []
  #numStarted = 0

  constructor(load: Load) {
    const cache = load.caches ? { eviction: evictionPolicies.value(), seed: 1 } : undefined
    this.kv = new KvCacheManager({ numBlocks, blockSize }, cache)
    this.#load = load
  }

  step(isBurst: boolean): void {
    if (isBurst) while (this.kv.usage < this.#load.fullness && this.#start());
    else if (this.#load.compacts) this.kv.compact()
    this.#running = this.#running.filter((sequence) => this.#decode(sequence))
    this.kv.endStep()
  }

  #start(): boolean {
    const length = 20 + this.#random.below(3000)
    const finalLength = length + 20 + this.#random.below(600)
    const id = toSequenceId(++this.#numStarted)
    const keys = this.kv.createKeys(
      '',
      Array.from({ length: finalLength + 1 }, () => this.#random.below(50_000)),
    )
    const sizes = { numTokens: length, maxTokens: finalLength, numPromptTokens: length, retention: 1 }
    if (!this.kv.start({ id, keys, ...sizes }, this.kv.findPrefix(keys, length - 1))) return false
    this.kv.noteComputed(id, length)
    this.#running.push({ id, length, finalLength })
    return true
  }

  /** False when it ends. */
  #decode(sequence: Decoding): boolean {
    const { id, finalLength } = sequence
    sequence.length += 1
    const goesOn = sequence.length < finalLength && this.kv.grow(id, sequence.length, finalLength)
    if (goesOn) this.kv.noteComputed(id, sequence.length)
    else this.kv.free(id)
    return goesOn
  }
}

function measure(load: Load): { mean: number; mostCopied: number; copied: number; micros: number } {
  const pool = new Pool(load)
  let numExtents = 0
  let numSequences = 0
  let mostCopied = 0
  let micros = 0
  for (let step = 0; step < numSteps; step += 1) {
    const before = pool.kv.stats.numCompactedBlocks
    const startedAt = performance.now()
    pool.step(step % stepsBetweenBursts === 0)
    micros += (performance.now() - startedAt) * 1000
    const { stats } = pool.kv
    mostCopied = Math.max(mostCopied, stats.numCompactedBlocks - before)
    numExtents += stats.numExtents
    numSequences += stats.numSequences
  }
  return {
    mean: numExtents / numSequences,
    mostCopied,
    copied: pool.kv.stats.numCompactedBlocks / numSteps,
    micros: micros / numSteps,
  }
}

const rows: string[][] = []
for (const caches of [false, true]) {
  for (const fullness of [0.5, 0.8, 0.95]) {
    const plain = measure({ fullness, caches, compacts: false })
    const compacted = measure({ fullness, caches, compacts: true })
    rows.push([
      `${(100 * fullness).toFixed(0)} %${caches ? ', the rest cached' : ''}`,
      plain.mean.toFixed(2),
      compacted.mean.toFixed(2),
      compacted.copied.toFixed(2),
      plain.micros.toFixed(0),
      compacted.micros.toFixed(0),
    ])
  }
}
const header = ['pool held', 'extents a sequence', 'with compaction', 'blocks moved a step']
process.stdout.write(table([...header, 'books, us a step', 'with compaction'], rows))
