import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { RandomStream } from '../../src/core/random.ts'
import {
  bundledName,
  startBundledServer,
  type BundledServer,
  type OtherMemory,
} from '../support/bundled-server.ts'
import { FaultyFile, noFaults } from '../support/faulty-file.ts'

const dir = mkdtempSync(join(tmpdir(), 'switchyard-metrics-'))
const numSlots = 400
let server: BundledServer | undefined
afterEach(() => server?.close())
afterAll(() => rmSync(dir, { recursive: true }))

/** A pool of 60 blocks over a file of 400. */
async function start(wrapFile?: OtherMemory['wrapFile']): Promise<void> {
  const bytesPerBlock = 2048 * 16
  const tiers = { hostBytes: 0, diskBytes: numSlots * bytesPerBlock, diskDir: dir, diskKeep: false }
  server = await startBundledServer({}, undefined, { kvCacheTokens: 960, tiers, wrapFile })
}

/** 31 blocks, which begin like nobody else's. */
async function ask(who: number): Promise<void> {
  const prompt = Array.from({ length: 500 }, (_, index) => ((index * 7 + who * 131) % 400) + 10)
  const body = JSON.stringify({ model: bundledName, prompt, max_tokens: 2, temperature: 0 })
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${server!.url}/v1/completions`, { method: 'POST', headers, body })
  expect(response.status).toBe(200)
}

/** Values of a metric by state or reason. */
async function read(name: string): Promise<Record<string, number>> {
  const text = await (await fetch(`${server!.url}/metrics`)).text()
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`))
  return Object.fromEntries(
    lines.map((line) => [/(?:state|reason)="([^"]*)"/.exec(line)![1], Number(line.split(' ').at(-1))]),
  )
}

it('blocks by state are those that were written and stayed, also when no step follows', async () => {
  await start()
  for (const who of [0, 1, 2, 3]) await ask(who)
  await expect.poll(async () => (await read('switchyard_kv_tier_blocks'))['moving']).toBe(0)
  const { kept, free, retired } = await read('switchyard_kv_tier_blocks')
  const { room } = await read('switchyard_kv_moved_bytes_total')
  expect(kept).toBe(room! / (2048 * 16))
  // All that has no room in the pool is there.
  expect(kept).toBeGreaterThanOrEqual(4 * 31 - 60)
  expect([kept! + free!, retired]).toEqual([numSlots, 0])
  await ask(0)
  expect((await read('switchyard_kv_moved_bytes_total'))['prefix']).toBeGreaterThan(20 * 2048 * 16)
})

it('a slot is moving while its block is being written, and retired when that fails', async () => {
  let letGo = (): void => undefined
  const held = new Promise<void>((resolve) => (letGo = resolve))
  await start((file) => {
    const full = new FaultyFile(file, new RandomStream(1), { ...noFaults, full: 1 })
    return {
      read: (bytes, offset) => full.read(bytes, offset),
      write: async (bytes, offset) => {
        await held
        return full.write(bytes, offset)
      },
    }
  })
  await ask(0)
  const asked = ask(1)
  await expect.poll(async () => (await read('switchyard_kv_tier_blocks'))['moving']).toBeGreaterThan(0)
  letGo()
  await asked
  await expect.poll(async () => (await read('switchyard_kv_tier_blocks'))['retired']).toBe(numSlots)
  expect(await read('switchyard_kv_tier_blocks')).toMatchObject({ kept: 0, free: 0 })
})
