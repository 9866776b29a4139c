import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { createEngine } from '../../src/engine/create-engine.ts'
import type { EngineClient } from '../../src/engine/engine-client.ts'
import { decodeKeptIndex } from '../../src/tiers/kept-index.ts'
import { generate } from '../support/generate.ts'
import { testExecutorOptions } from '../support/single-sequence.ts'

const modelPath = 'models/yardling/yardling-q8_0.gguf'
const dir = mkdtempSync(join(tmpdir(), 'switchyard-swap-'))
afterAll(() => rmSync(dir, { recursive: true }))

const scheduler = { maxNumSeqs: 8, maxNumBatchedTokens: 256, maxTbtMs: undefined, policy: 'fcfs' } as const
const disk = { hostBytes: 0, diskBytes: 64 * 2 ** 20, diskDir: dir, diskKeep: false }

function open(kvCacheTokens: number, tiers: typeof disk | undefined): EngineClient {
  const executor = { ...testExecutorOptions, modelPath, kvCacheTokens, batchInvariant: true }
  return createEngine({ executor, scheduler, eviction: 'value', tiers })
}

const prompts = [0, 1, 2, 3].map((who) =>
  Array.from({ length: 500 }, (_, index) => ((index * 7 + who * 131) % 400) + 10),
)

/** Two turns of each conversation; the second goes on from the first one's answer. */
async function converse(
  engine: EngineClient,
  run: string,
): Promise<{ tokens: number[][]; numCached: number }> {
  let histories = prompts
  let numCached = 0
  for (const turn of [1, 2]) {
    const answers = await Promise.all(
      histories.map((promptTokens, who) =>
        generate(engine, { id: `${run}-${turn}-${who}`, promptTokens, maxTokens: 60, ignoreEos: true }),
      ),
    )
    numCached = answers.reduce((sum, { finish }) => sum + finish.timings.numCachedTokens, 0)
    histories = histories.map((history, who) => [...history, ...answers[who]!.tokens])
  }
  return { tokens: histories, numCached }
}

it('conversations that have no room together have the answers they would have had, and no file is left', async () => {
  const large = open(8192, undefined)
  const { tokens } = await converse(large, 'large')
  await large.close()
  const small = open(800, disk)
  const swapped = await converse(small, 'small')
  const swap = small.stats!.swap!
  await small.close()
  expect(swapped.tokens).toEqual(tokens)
  expect(swap.movedBytes.prefix + swap.movedBytes.resume).toBeGreaterThan(0)
  expect(swap.numFailedReads + swap.numFailedWrites).toBe(0)
  // Each prompt of the second turn has 17 full blocks behind it.
  expect(swapped.numCached).toBeGreaterThan(0.9 * 4 * 17 * 32)
  expect(readdirSync(dir)).toEqual([])
})

it('a killed server starts again with what it kept on disk', async () => {
  const kept = { ...disk, diskKeep: true }
  const first = open(8192, kept)
  const before = await Promise.all(
    prompts.map((promptTokens, who) => generate(first, { id: `a${who}`, promptTokens, maxTokens: 20 })),
  )
  const { pid } = await first.ready()
  await untilIndexed(4 * 15)
  process.kill(pid, 'SIGKILL')
  const after = await Promise.all(
    prompts.map((promptTokens, who) => generate(first, { id: `b${who}`, promptTokens, maxTokens: 20 })),
  )
  expect((await first.ready()).pid).not.toBe(pid)
  expect(after.map(({ tokens }) => tokens)).toEqual(before.map(({ tokens }) => tokens))
  for (const { finish } of after) expect(finish.timings.numCachedTokens).toBeGreaterThanOrEqual(448)
  await first.close()

  const second = open(8192, kept)
  const last = await generate(second, { id: 'c', promptTokens: prompts[0]!, maxTokens: 20 })
  expect(last.tokens).toEqual(before[0]!.tokens)
  expect(last.finish.timings.numCachedTokens).toBeGreaterThanOrEqual(448)
  await second.close()
  expect(readdirSync(dir).filter((name) => name.endsWith('.lock'))).toEqual([])
})

/** Resolves when the index on disk lists so many blocks. */
async function untilIndexed(numBlocks: number): Promise<void> {
  const count = (): number => {
    const name = existsSync(dir) ? readdirSync(dir).find((file) => file.endsWith('.index')) : undefined
    const bytes = name === undefined ? undefined : readFileSync(join(dir, name))
    return bytes === undefined ? 0 : (decodeKeptIndex(bytes.subarray(8, 40), bytes)?.blocks.length ?? 0)
  }
  await expect.poll(count, { timeout: 20_000 }).toBeGreaterThanOrEqual(numBlocks)
}
