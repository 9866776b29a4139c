/** The largest batch there may be, with answers that cost nothing. */
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BatchWorker } from '../../src/batches/batch-worker.ts'
import { readLines } from '../../src/batches/line-reader.ts'
import { prepareBatch } from '../../src/batches/prepare-batch.ts'
import { openStore, wallClock, type Store } from '../../src/storage/store.ts'

const numLines = 50_000
const lineBytes = 3000
const limits = { maxLines: numLines, maxLineBytes: 1 << 20 }

let dir: string
let store: Store
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'batch-scale-'))
  store = await openStore(dir)
})
afterAll(async () => {
  await store.close()
  rmSync(dir, { recursive: true })
})

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
function heapMegabytes(): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 2 ** 20
}

async function writeInput(path: string): Promise<void> {
  const stream = createWriteStream(path)
  for (let n = 0; n < numLines; n++) {
    const prompt = `group ${n % 250} `.repeat(lineBytes / 12) + n
    const line = { custom_id: `line-${n}`, method: 'POST', url: '/v1/completions', body: { prompt } }
    if (!stream.write(`${JSON.stringify(line)}\n`)) await once(stream, 'drain')
  }
  stream.end()
  await once(stream, 'finish')
}

it('a file of 50,000 lines is checked and ordered in seconds, and run in memory that does not grow with it', async () => {
  const path = join(dir, 'input.jsonl')
  await writeInput(path)
  const before = heapMegabytes()
  const startedAt = performance.now()
  const prepared = await prepareBatch(path, '/v1/completions', limits)
  const seconds = (performance.now() - startedAt) / 1000
  expect('places' in prepared && prepared.places.length).toBe(numLines)
  const kept = heapMegabytes() - before

  const writer = await store.files.create({ owner: '', filename: 'in', purpose: 'batch' })
  for await (const { text } of readLines(path, limits.maxLineBytes)) await writer.write(`${text}\n`)
  const file = await writer.seal()
  store.files.add(file)
  const body = JSON.stringify({ text: 'x'.repeat(1000) })
  const heaps: number[] = []
  let numAnswers = 0
  const worker = new BatchWorker({
    store,
    limits,
    mostInFlight: 128,
    now: wallClock,
    load: () => ({ hasOthers: false, numWaiting: 0, numRunning: 0 }),
    onTrouble: (error) => {
      throw error
    },
    dispatch: async () => {
      if (++numAnswers % 10_000 === 0) heaps.push(heapMegabytes())
      return new Promise((resolve) => setImmediate(resolve, { status: 200, requestId: 'r', body }))
    },
  })
  const { id } = store.batches.create({
    owner: '',
    tenant: 'default',
    weight: 1,
    endpoint: '/v1/completions',
    inputFile: file.id,
    completionWindow: '24h',
    metadata: {},
    createdAt: wallClock(),
    expiresAt: wallClock() + 86_400,
  })
  worker.wake()
  await worker.idle()
  const batch = store.batches.find(id, '')!
  console.log(
    `read and ordered ${(file.bytes / 2 ** 20).toFixed(0)} MB in ${seconds.toFixed(1)} s, keeping ${kept.toFixed(0)} MB; ` +
      `heap while it ran: ${[before, ...heaps].map((heap) => heap.toFixed(0)).join(', ')} MB`,
  )
  expect(batch).toMatchObject({ status: 'completed', total: numLines, completed: numLines, failed: 0 })
  let numResults = 0
  for await (const { text } of readLines(store.files.path(batch.outputFile!), limits.maxLineBytes)) {
    if ((JSON.parse(text!) as { custom_id: string }).custom_id === `line-${numResults}`) numResults++
  }
  expect(numResults).toBe(numLines)
  expect(kept).toBeLessThan(30)
  expect(heaps.at(-1)! - heaps[0]!).toBeLessThan(10)
})
