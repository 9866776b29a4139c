import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fixturePath } from '../../test/support/workloads.ts'
import { estimateTokens, readTrace } from './trace-files.ts'

let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'traces-'))
})

afterAll(() => rm(folder, { recursive: true }))

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  return path
}

const rows = (count: number) =>
  Array.from(
    { length: count },
    (_, index) =>
      `{"timestamp": ${index * 100}, "input_length": 600, "output_length": 5, "hash_ids": [0, ${index + 1}]}\n`,
  ).join('')

describe('a trace file', () => {
  it('is read with its format guessed, and says where it came from', async () => {
    const { workload, numFaults } = await readTrace(fixturePath('mooncake.jsonl'))
    expect(numFaults).toBe(0)
    expect(workload.name).toBe('mooncake.jsonl')
    expect(workload.provenance).toEqual([
      { action: 'read', parameters: { file: 'mooncake.jsonl', format: 'mooncake', numFaults: 0 } },
    ])
  })

  it('reads the same when it is compressed', async () => {
    const plain = await readTrace(fixturePath('burstgpt.csv'))
    const packed = await readTrace(
      await file('b.csv.gz', gzipSync(await readFile(fixturePath('burstgpt.csv')))),
    )
    expect(packed.workload.requests).toEqual(plain.workload.requests)
    expect(packed.faults).toEqual(plain.faults)
  })

  it('with bad rows is read, and they are counted and the first of them named', async () => {
    const bad = '{"timestamp": 1, "input_length": "long"}\n'.repeat(30)
    const { workload, numFaults, faults } = await readTrace(await file('bad.jsonl', rows(2) + bad + rows(1)))
    expect(workload.requests.length).toBe(3)
    expect(numFaults).toBe(30)
    expect(faults.length).toBe(20)
    expect(faults[0]).toEqual({ line: 3, message: '"long" is no length of a prompt in tokens' })
  })

  it('that breaks off is read as far as it goes', async () => {
    const packed = gzipSync(rows(3000))
    const path = await file('cut.jsonl.gz', packed.subarray(0, packed.length - 2000))
    const { workload, faults } = await readTrace(path)
    expect(workload.requests.length).toBeGreaterThan(0)
    expect(workload.requests.length).toBeLessThan(3000)
    expect(faults.at(-1)!.message).toMatch(/cannot be read further/)
  })

  it('is not read further than the slice needs', async () => {
    const path = await file('slice.jsonl', `${rows(50)}not json\n`)
    const { workload, numFaults } = await readTrace(path, { slice: { fromSeconds: 1, toSeconds: 2 } })
    expect(workload.requests.map(({ arrival }) => arrival)).toEqual(
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => n * 1e5),
    )
    expect(numFaults).toBe(0)
    expect(workload.provenance.at(-1)).toEqual({
      action: 'slice',
      parameters: { fromSeconds: 1, toSeconds: 2 },
    })
    expect((await readTrace(path, { slice: { maxRequests: 7 } })).workload.requests.length).toBe(7)
  })

  it('draws from statistics with the file beside it', async () => {
    const slice = { toSeconds: 300, maxRequests: 20 }
    const reading = await readTrace(fixturePath('tiny.clients.csv'), { slice, seed: 3 })
    expect(reading.workload.requests.length).toBe(20)
    expect(reading.faults).toEqual([{ line: 6, message: 'client 2 has no lengths at 0 s' }])
    const again = await readTrace(fixturePath('tiny.clients.csv'), { slice, seed: 3 })
    expect(again.workload).toEqual(reading.workload)
  })

  it.each([
    ['is missing', 'nowhere.csv', undefined, /cannot be opened \(ENOENT/],
    [
      'is of no known format',
      'notes.txt',
      'Dear diary\n',
      /cannot be told from its beginning; name one of mooncake/,
    ],
    [
      'has no good row',
      'empty.csv',
      'TIMESTAMP,ContextTokens,GeneratedTokens\nx,1,1\n',
      /1 bad records, the first on line 2/,
    ],
    ['is nothing but a header', 'head.csv', 'TIMESTAMP,ContextTokens,GeneratedTokens\n', /it is empty/],
    ['is no gzip', 'false.csv.gz', 'TIMESTAMP', /incorrect header check/],
    [
      'lacks its lengths',
      'a.clients.csv',
      'client_id,window_start_s,rate_rps\n',
      /needs a.datasets.jsonl beside it/,
    ],
  ])('that %s is refused', async (_, name, content, message) => {
    const path = content === undefined ? join(folder, name) : await file(name, content)
    await expect(readTrace(path)).rejects.toThrow(message)
    await expect(readTrace(path)).rejects.toMatchObject({ code: 'INVALID_WORKLOAD' })
  })
})

it('estimates a token for four characters', () => {
  expect(estimateTokens('four words of text')).toBe(5)
})
