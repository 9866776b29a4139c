/**
 * Random programs against the machine's memory: conversations of several turns that fork, are cancelled, preempted and
 * swapped out, over pools far too small, on real kernels, with a disk that is short, full, torn, slow and wrong. Every
 * answer must be, token by token, what the same prompt gets alone. SWITCHYARD_ORACLE_SEEDS=300 runs so many programs.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { RandomStream } from '../../src/core/random.ts'
import { toRequestId } from '../../src/core/units.ts'
import { InProcessClient } from '../../src/engine/in-process-client.ts'
import type { EngineStats } from '../../src/engine/protocol.ts'
import { evictionNames } from '../../src/kvcache/eviction/index.ts'
import { policyNames } from '../../src/scheduler/policies/index.ts'
import { FaultyFile, noFaults, type FileFaults, openKvFiles } from '../support/faulty-file.ts'
import { generate } from '../support/generate.ts'
import { testExecutorOptions } from '../support/single-sequence.ts'

const numSeeds = Number(process.env['SWITCHYARD_ORACLE_SEEDS'] ?? 20)
const modelPath = 'models/yardling/yardling-q8_0.gguf'
const blockSize = 8
const longest = 160
const vocabSize = 2000
const dir = mkdtempSync(join(tmpdir(), 'switchyard-oracle-'))
afterAll(() => rmSync(dir, { recursive: true }))

const executor = { ...testExecutorOptions, modelPath, batchInvariant: true, blockSize, numThreads: 1 }

interface Asked {
  readonly promptTokens: readonly number[]
  readonly maxTokens: number
  readonly tokens: readonly number[]
  readonly isCancelled: boolean
}

function faultsOf(random: RandomStream): FileFaults {
  const rate = (most: number): number => (random.next() < 0.5 ? 0 : most * random.next())
  if (random.next() < 0.2) return noFaults
  const full = random.next() < 0.1 ? 1 : rate(0.1)
  return { short: rate(0.4), full, torn: rate(0.3), flip: rate(0.3), broken: rate(0.2), slow: rate(1) }
}

const pick = <Item>(random: RandomStream, items: readonly Item[]): Item => items[random.below(items.length)]!

/** What one program came to. */
interface Outcome {
  readonly asked: readonly Asked[]
  readonly counts: Readonly<Record<string, number>>
}

class Program {
  readonly #random: RandomStream
  readonly #seed: number
  readonly #engine: InProcessClient
  readonly #files: FaultyFile[] = []
  readonly #asked: Asked[] = []
  readonly #trunk: readonly number[]
  #numForks = 0
  #numSent = 0

  constructor(seed: number) {
    const random = new RandomStream(seed)
    this.#random = random
    this.#seed = seed
    this.#trunk = this.#tokens(60)
    const maxNumBatchedTokens = 9 + random.below(100)
    const maxNumSeqs = 2 + random.below(7)
    const faults = faultsOf(random)
    const bytesPerBlock = 2048 * blockSize
    const kvCacheTokens = Math.ceil((longest + random.below(120)) / blockSize) * blockSize
    this.#engine = new InProcessClient(
      {
        executor: { ...executor, kvCacheTokens, maxNumSeqs, maxNumBatchedTokens },
        scheduler: {
          maxNumSeqs,
          maxNumBatchedTokens,
          maxTbtMs: undefined,
          policy: pick(random, policyNames),
        },
        eviction: pick(random, evictionNames),
        tiers: {
          hostBytes: pick(random, [0, 0, 10 * bytesPerBlock]),
          diskBytes: pick(random, [8, 40, 400]) * bytesPerBlock,
          diskDir: dir,
          diskKeep: false,
        },
      },
      (file) => {
        const faulty = new FaultyFile(file, random.split(1), faults)
        this.#files.push(faulty)
        return faulty
      },
    )
  }

  async run(): Promise<Outcome> {
    const numConversations = 2 + this.#random.below(4)
    await Promise.all(Array.from({ length: numConversations }, (_, who) => this.#converse(who)))
    await this.#engine.checkInvariants()
    const stats = await this.#untilDrained()
    await this.#engine.close()
    expect(openKvFiles(dir)).toEqual([])
    const { swap, kv, numPreemptionsTotal } = stats
    return {
      asked: this.#asked,
      counts: {
        preemptions: numPreemptionsTotal,
        resumedBytes: swap!.movedBytes.resume,
        prefixBytes: swap!.movedBytes.prefix,
        writtenBytes: swap!.movedBytes.room,
        failedReads: swap!.numFailedReads,
        failedWrites: swap!.numFailedWrites,
        faults: this.#files.reduce((sum, { numFaults }) => sum + numFaults, 0),
        hits: kv.numHitTokens,
        compacted: kv.numCompactedBlocks,
        forks: this.#numForks,
        cancelled: this.#asked.filter(({ isCancelled }) => isCancelled).length,
      },
    }
  }

  /** Figures when every block is free or cached. The last writes may still be under way when nobody waits any more. */
  async #untilDrained(): Promise<EngineStats> {
    for (let attempt = 0; ; attempt += 1) {
      const { numRunning, numWaiting, numBlocks, numFreeBlocks } = this.#engine.stats!
      if (numFreeBlocks === numBlocks && numRunning + numWaiting === 0) return this.#engine.stats!
      expect(attempt, `seed ${this.#seed}: ${numFreeBlocks} of ${numBlocks} blocks`).toBeLessThan(500)
      // Figures come with steps.
      await generate(this.#engine, { id: `last ${attempt}`, promptTokens: [1, 2], maxTokens: 1 })
    }
  }

  /** Turns that go on from each other's answers; some fork, and one of the forks is gone on from. */
  async #converse(who: number): Promise<void> {
    let history = [
      ...this.#trunk.slice(0, this.#random.below(50)),
      ...this.#tokens(1 + this.#random.below(20)),
    ]
    while (history.length < longest - 30) {
      const maxTokens = 1 + this.#random.below(25)
      const numForks = pick(this.#random, [1, 1, 1, 3])
      if (numForks > 1) this.#numForks += 1
      const tenant = `tenant ${who % 3}`
      const answers = await Promise.all(
        Array.from({ length: numForks }, () => this.#ask(history, maxTokens, tenant)),
      )
      const own = this.#tokens(1 + this.#random.below(15))
      history = [...history, ...answers[0]!, ...own]
    }
  }

  async #ask(promptTokens: readonly number[], maxTokens: number, tenant: string): Promise<readonly number[]> {
    const id = `${this.#numSent++}`
    const cancelAt = this.#random.next() < 0.15 ? this.#random.below(maxTokens) : undefined
    const cancel = (): void => this.#engine.cancel(toRequestId(id))
    const answer = generate(
      this.#engine,
      { id, promptTokens, maxTokens, ignoreEos: true, tenant },
      (count) => count === cancelAt && cancel(),
    )
    // Before its first token.
    if (cancelAt === 0) setImmediate(cancel)
    const { tokens } = await answer
    this.#asked.push({ promptTokens, maxTokens, tokens, isCancelled: cancelAt !== undefined })
    return tokens
  }

  #tokens(length: number): number[] {
    return Array.from({ length }, () => this.#random.below(vocabSize))
  }
}

describe('memory', () => {
  it(
    'gives every request the tokens it gets alone, whatever happens to its blocks',
    { timeout: 3_600_000 },
    async () => {
      const alone = new InProcessClient({
        executor: { ...executor, kvCacheTokens: 1024, maxNumSeqs: 1 },
        scheduler: { maxNumSeqs: 1, maxNumBatchedTokens: 512, maxTbtMs: undefined, policy: 'fcfs' },
        eviction: undefined,
      })
      const sums: Record<string, number> = {}
      let numAsked = 0
      for (let seed = 1; seed <= numSeeds; seed += 1) {
        const { asked, counts } = await new Program(seed).run()
        for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count
        for (const { promptTokens, maxTokens, tokens, isCancelled } of asked) {
          numAsked += 1
          const request = { id: `alone-${numAsked}`, promptTokens, maxTokens, ignoreEos: true }
          const expected = (await generate(alone, request)).tokens
          const wanted = isCancelled ? expected.slice(0, tokens.length) : expected
          expect(tokens, `seed ${seed}, a prompt of ${promptTokens.length} tokens`).toEqual(wanted)
        }
        expect(readdirSync(dir), `seed ${seed}`).toEqual([])
      }
      await alone.close()
      console.log(`${numSeeds} programs, ${numAsked} requests: ${JSON.stringify(sums)}`)
      for (const [name, count] of Object.entries(sums)) expect(count, name).toBeGreaterThan(0)
    },
  )
})
