/** A trace far larger than the heap: read in a process that is given 96 MB for its objects. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'

/** Set it to 2048 to see that 2 GB are read in the same memory. */
const megabytes = Number(process.env.SWITCHYARD_HUGE_TRACE_MB ?? 256)
let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huge-trace-'))
})

afterAll(() => rm(folder, { recursive: true }))

async function writeTrace(path: string): Promise<number> {
  const file = createWriteStream(path)
  let numRows = 0
  for (let size = 0; size < megabytes * 1_000_000; numRows += 1000) {
    const rows = Array.from({ length: 1000 }, (_, index) => row(numRows + index)).join('')
    size += rows.length
    if (!file.write(rows)) await once(file, 'drain')
  }
  file.end('{"timestamp": "late"}\n')
  await once(file, 'close')
  return numRows
}

/** A request a millisecond, in sessions of ten turns. */
function row(index: number): string {
  const ids = Array.from({ length: 40 }, (_, block) => (block < 30 ? block : index * 10 + block))
  const fields = { timestamp: index, input_length: 20_480, output_length: 9, hash_ids: ids }
  return `${JSON.stringify({ ...fields, session_id: `s${Math.floor(index / 10)}`, tenant: `t${index % 7}` })}\n`
}

it('reads a slice at the end of a huge trace in constant memory', async () => {
  const path = join(folder, 'huge.jsonl')
  const numRows = await writeTrace(path)
  const reader = fileURLToPath(new URL('../../src/bench/trace-files.ts', import.meta.url))
  const fromSeconds = numRows / 1000 - 1
  const script = `
    import { readTrace } from ${JSON.stringify(reader)}
    const { workload, numFaults, faults } = await readTrace(${JSON.stringify(path)}, { slice: { fromSeconds: ${fromSeconds} } })
    console.log(JSON.stringify({ count: workload.requests.length, numFaults, line: faults[0].line }))`
  const scriptPath = join(folder, 'read.mts')
  await writeFile(scriptPath, script)
  const tsx = fileURLToPath(import.meta.resolve('tsx'))
  const heap = '--max-old-space-size=96'
  const { stdout } = await promisify(execFile)(process.execPath, [heap, '--import', tsx, scriptPath])
  expect(JSON.parse(stdout)).toEqual({ count: 1000, numFaults: 1, line: numRows + 1 })
})
