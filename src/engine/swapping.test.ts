import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { FaultyFile, type FileFaults, openKvFiles } from '../../test/support/faulty-file.ts'
import { createRequest, generate } from '../../test/support/generate.ts'
import { RandomStream } from '../core/random.ts'
import type { GenerationRequest } from '../core/request.ts'
import { FakeExecutor } from '../executor/fake-executor.ts'
import { evictionPolicies } from '../kvcache/eviction/index.ts'
import { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import { policies } from '../scheduler/policies/index.ts'
import { Scheduler } from '../scheduler/scheduler.ts'
import { createEngine } from './create-engine.ts'
import type { FromEngine, SequenceUpdate } from './protocol.ts'
import { StepLoop } from './step-loop.ts'
import { Swapping } from './swapping.ts'
import { systemClock } from './system-clock.ts'

const blockSize = 4
const bytesPerBlock = 16
const model = { vocabSize: 60, maxModelLen: 120, blockSize, endProbability: 0.02 }
const limits = { maxNumSeqs: 6, maxNumBatchedTokens: 24, maxTbtMs: undefined, policy: 'fcfs' } as const
const dir = mkdtempSync(join(tmpdir(), 'switchyard-swapping-'))
afterAll(() => rmSync(dir, { recursive: true }))

interface Load {
  readonly numBlocks: number
  readonly diskBlocks: number
  readonly hostBlocks: number
  readonly faults: FileFaults
  readonly seed: number
  readonly keeps: boolean
  readonly prefersMoving: boolean
  readonly turns: readonly Turn[]
}

interface Turn {
  /** Whose history it goes on from; tokens of its own follow. */
  readonly trunk: number
  readonly length: number
  readonly own: readonly number[]
  readonly maxTokens: number
}

const rate = fc.constantFrom(0, 0, 0.05, 0.3)
const loads: fc.Arbitrary<Load> = fc.record({
  numBlocks: fc.integer({ min: 30, max: 44 }),
  diskBlocks: fc.constantFrom(8, 30, 400),
  hostBlocks: fc.constantFrom(0, 0, 10),
  faults: fc.record({
    short: rate,
    full: fc.constantFrom(0, 0, 0, 0.1, 1),
    torn: rate,
    flip: rate,
    broken: rate,
    slow: fc.constantFrom(0, 0.5, 1),
  }),
  seed: fc.nat(),
  keeps: fc.boolean(),
  prefersMoving: fc.constantFrom(true, true, true, false),
  turns: fc.array(
    fc.record({
      trunk: fc.nat(2),
      length: fc.integer({ min: 0, max: 60 }),
      own: fc.array(fc.nat(58), { minLength: 1, maxLength: 12 }),
      maxTokens: fc.integer({ min: 1, max: 40 }),
    }),
    { minLength: 4, maxLength: 20, size: 'max' },
  ),
})

const trunkToken = (trunk: number, index: number) => (trunk * 17 + index * 5 + (index % 7)) % 58

function requestsOf({ turns }: Load): GenerationRequest[] {
  return turns.map(({ trunk, length, own, maxTokens }, index) => {
    const promptTokens = [...Array.from({ length }, (_, at) => trunkToken(trunk, at)), ...own]
    return createRequest({ id: `${index}`, promptTokens, maxTokens })
  })
}

/** The tokens of each request on a machine of its own. */
async function servedAlone(requests: readonly GenerationRequest[]): Promise<number[][]> {
  const executor = { kind: 'fake', ...model, numBlocks: 400 } as const
  const engine = createEngine({ executor, scheduler: { ...limits, maxNumSeqs: 1 } }, 'in-process')
  const results = await Promise.all(requests.map((request) => generate(engine, request)))
  await engine.close()
  return results.map(({ tokens }) => tokens)
}

/** Serves a load over a file that fails, checks the books when all is done, and returns tokens and figures. */
async function serve(load: Load, requests: readonly GenerationRequest[]) {
  const executor = new FakeExecutor({ ...model, numBlocks: load.numBlocks })
  const files: FaultyFile[] = []
  const tierOptions = {
    hostBytes: load.hostBlocks * bytesPerBlock,
    diskBytes: load.diskBlocks * bytesPerBlock,
    diskDir: dir,
    diskKeep: load.keeps,
  }
  const swapping = await Swapping.open(tierOptions, executor.blocks, {
    identity: new Uint8Array(32).fill(load.seed),
    log: () => undefined,
    reserveSpace: () => false,
    wrapFile(file) {
      const faulty = new FaultyFile(file, new RandomStream(load.seed), load.faults)
      files.push(faulty)
      return faulty
    },
  })
  const swapper = swapping!.config
  const cache = { eviction: evictionPolicies.value(), seed: swapping!.seed, swapper }
  const kv = new KvCacheManager({ numBlocks: load.numBlocks, blockSize }, cache)
  const config = { ...limits, maxTbtMicros: undefined, maxModelLen: 120, endTokenIds: [59] }
  const scheduler = new Scheduler(config, kv, policies.fcfs())
  // This executor computes faster than any disk reads.
  if (load.prefersMoving) kv.swapper!.recomputeTime = () => 1e9
  const updates: SequenceUpdate[] = []
  const allDone = withResolvers()
  const send = (message: FromEngine): void => {
    if ('updates' in message) updates.push(...message.updates)
    if (updates.filter(({ finish }) => finish !== undefined).length === requests.length) allDone.resolve()
  }
  const loop = new StepLoop({ executor, scheduler, kv, swapping, clock: systemClock, send })
  const ended = loop.run()
  loop.submit(requests)
  await Promise.race([allDone.promise, ended])
  loop.close()
  await ended
  loop.checkInvariants()
  expect(kv.numAvailableBlocks, 'blocks are free or cached').toBe(load.numBlocks)
  expect(kv.swapper!.numUnderWay).toBe(0)
  await swapping!.close()
  expect(openKvFiles(dir)).toEqual([])
  const stats = kv.swapper!.stats
  const numFaults = files.reduce((sum, file) => sum + file.numFaults, 0)
  const tokens = requests.map(({ id }) =>
    updates.filter((update) => update.id === id).flatMap(({ tokenIds }) => tokenIds),
  )
  return { tokens, stats, numFaults }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((done) => (resolve = done))
  return { promise, resolve }
}

describe('an engine that swaps', () => {
  it(
    'gives every request its own tokens, over files that lose, tear, flip and refuse what is written',
    { timeout: 600_000 },
    async () => {
      const seen = { numRead: 0, numFailedReads: 0, numFailedWrites: 0, numFaults: 0 }
      await fc.assert(
        fc.asyncProperty(loads, async (load) => {
          const requests = requestsOf(load)
          const { tokens, stats, numFaults } = await serve(load, requests)
          expect(tokens).toEqual(await servedAlone(requests))
          seen.numRead += stats.tiers.reduce((sum, tier) => sum + tier.numBlocksRead, 0)
          seen.numFailedReads += stats.numFailedReads
          seen.numFailedWrites += stats.numFailedWrites
          seen.numFaults += numFaults
        }),
        { numRuns: Number(process.env['SWITCHYARD_SWAP_RUNS'] ?? 60) },
      )
      for (const [name, count] of Object.entries(seen)) expect(count, name).toBeGreaterThan(0)
      expect(readdirSync(dir).filter((name) => name.endsWith('.lock'))).toEqual([])
    },
  )
})
