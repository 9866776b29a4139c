import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { scriptedServer } from '../../test/support/api-server.ts'
import { readTrace } from '../bench/trace-files.ts'
import { plainTerms } from '../core/request.ts'
import { micros } from '../core/units.ts'
import { systemClock } from '../engine/system-clock.ts'
import type { MooncakeRow } from '../workload/mooncake-writer.ts'
import { openRecordingFile, WorkloadRecorder } from './workload-recorder.ts'

const tokens = (count: number, from = 0): number[] =>
  Array.from({ length: count }, (_, index) => from + index)

function start(salt?: Buffer) {
  const lines: string[] = []
  const recorder = new WorkloadRecorder((line) => lines.push(line), micros(1_000_000), salt)
  const begin = (
    promptTokens: readonly number[],
    fields: { program?: string; at?: number; tool?: boolean } = {},
  ) =>
    recorder.begin({
      ...plainTerms,
      promptTokens,
      program: fields.program,
      arrivedAt: micros(fields.at ?? 1_000_000),
      followsTool: fields.tool ?? false,
    })
  const rows = () => lines.filter((line) => line !== '').map((line) => JSON.parse(line) as MooncakeRow)
  return { recorder, begin, rows }
}

describe('a recorder', () => {
  it('writes times and lengths, and equal hashes for equal beginnings', () => {
    const { begin, rows } = start()
    const one = begin(tokens(150), { at: 1_500_000 })
    one.append([1, 2])
    one.append([3])
    one.end(micros(2_000_000))
    const other = begin([...tokens(64), ...tokens(10, 900)], { at: 1_750_000 })
    other.append([1])
    other.end(micros(3_000_000))
    expect(rows()).toMatchObject([
      { timestamp: 500, input_length: 150, output_length: 3, block_size: 64 },
      { timestamp: 750, input_length: 74, output_length: 1 },
    ])
    const [first, second] = rows().map((row) => row.hash_ids)
    expect([first!.length, second!.length]).toEqual([3, 2])
    expect(second![0]).toBe(first![0])
    expect(second![1]).not.toBe(first![1])
    expect(first!.every(Number.isSafeInteger)).toBe(true)
  })

  it('gives other hashes under another salt', () => {
    const hashes = [Buffer.from('a'), Buffer.from('b')].map((salt) => {
      const { begin, rows } = start(salt)
      const recording = begin(tokens(64), { program: 'p' })
      recording.append([1])
      recording.end(micros(2))
      return [rows()[0]!.hash_ids[0], rows()[0]!.session_id]
    })
    expect(hashes[0]![0]).not.toBe(hashes[1]![0])
    expect(hashes[0]![1]).not.toBe(hashes[1]![1])
  })

  it('writes rows in order of arrival, and none for answers without a token', () => {
    const { begin, rows } = start()
    const recordings = [1, 2, 3].map((number) => begin(tokens(number)))
    recordings[2]!.append([5])
    recordings[2]!.end(micros(2))
    expect(rows()).toEqual([])
    recordings[1]!.end(micros(3))
    recordings[0]!.append([5])
    recordings[0]!.end(micros(4))
    recordings[0]!.end(micros(5))
    expect(rows().map((row) => row.input_length)).toEqual([1, 3])
  })

  it('knows whether a turn goes on from the answer before, and how long after it', () => {
    const { begin, rows } = start()
    const turn = (prompt: readonly number[], at: number, tool = false) => {
      const recording = begin(prompt, { program: 'p', at, tool })
      recording.append([7, 8])
      recording.end(micros(at + 1_000_000))
    }
    turn(tokens(5), 2_000_000)
    turn([...tokens(5), 7, 8, 40], 4_500_000, true)
    turn([...tokens(5), 7, 9, 40, 7, 8, 1], 5_000_000)
    expect(
      rows().map(({ delay, gap_kind: kind, includes_answer: includes }) => [delay, kind, includes]),
    ).toEqual([
      [undefined, undefined, undefined],
      [1500, 'tool', true],
      [0, 'think', undefined],
    ])
  })
})

describe('a recording', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'recording-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('of a server reads back as what it served, without a word of it', async () => {
    const path = join(folder, 'load.jsonl')
    const file = await openRecordingFile(path, systemClock.now())
    const server = scriptedServer('Hello', {}, file.recorder)
    const history = [
      { role: 'user', content: 'a secret question that is long enough for two blocks of tokens' },
    ]
    const ask = () =>
      server.app.inject({
        method: 'POST',
        url: '/v1/chat/completions',
        headers: { 'x-session-id': 'ada-1' },
        payload: { messages: history, user: 'ada@example.com' },
      })
    const first = (await ask()).json().usage
    history.push({ role: 'assistant', content: 'Hello' }, { role: 'user', content: 'And now?' })
    const second = (await ask()).json().usage
    await server.close()
    await server.engine.close()
    await file.close()
    const { workload, numFaults } = await readTrace(path)
    expect(numFaults).toBe(0)
    expect(workload.requests.map((one) => [one.numPromptTokens, one.numOutputTokens, one.turn])).toEqual([
      [first.prompt_tokens, first.completion_tokens, 0],
      [second.prompt_tokens, second.completion_tokens, 1],
    ])
    expect(workload.requests[1]!.blocks[0]).toBe(workload.requests[0]!.blocks[0])
    const text = await readFile(path, 'utf8')
    for (const word of ['secret', 'Hello', 'ada']) expect(text).not.toContain(word)
  })

  it('overwrites nothing', async () => {
    const path = join(folder, 'load.jsonl')
    await (await openRecordingFile(path, micros(0))).close()
    await expect(openRecordingFile(path, micros(0))).rejects.toThrow(/is there already/)
    await expect(openRecordingFile(join(folder, 'no', 'way'), micros(0))).rejects.toThrow(/cannot be written/)
  })
})
