/** Figures of published traces, counted by other means. SWITCHYARD_TRACES_DIR names the folder that has them. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkWorkload } from '../workload/check-workload.ts'
import { reusableShare } from '../workload/reusable-tokens.ts'
import type { Workload } from '../workload/workload.ts'
import { readTrace, type TraceOptions } from './trace-files.ts'

const folder = process.env.SWITCHYARD_TRACES_DIR

async function read(name: string, options: TraceOptions = {}): Promise<Workload> {
  const { workload, numFaults } = await readTrace(join(folder ?? '', name), options)
  expect(numFaults).toBe(0)
  expect(checkWorkload(workload)).toBeUndefined()
  return workload
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const prompts = ({ requests }: Workload) => requests.map(({ numPromptTokens }) => numPromptTokens)
const outputs = ({ requests }: Workload) => requests.map(({ numOutputTokens }) => numOutputTokens)

describe.skipIf(folder === undefined)('published traces (needs SWITCHYARD_TRACES_DIR)', () => {
  it.each([
    ['azure-llm-2023/AzureLLMInferenceTrace_code.first30min.csv', 5740, 2027.63, 27.36],
    ['azure-llm-2023/AzureLLMInferenceTrace_conv.first30min.csv', 10_108, 1243.25, 217.35],
    ['mooncake-fast25/conversation_trace.first30min.jsonl.gz', 5719, 12_870.12, 345.73],
    ['mooncake-fast25/synthetic_trace.jsonl.gz', 3993, 15_325.48, 149.12],
  ])('%s has its requests and mean lengths', async (name, count, prompt, output) => {
    const workload = await read(name)
    expect(workload.requests.length).toBe(count)
    expect(mean(prompts(workload))).toBeCloseTo(prompt, 2)
    expect(mean(outputs(workload))).toBeCloseTo(output, 2)
  })

  it('Mooncake conversations share one system prompt and come about every 3 s at once', async () => {
    const { requests } = await read('mooncake-fast25/conversation_trace.first30min.jsonl.gz')
    expect(requests.every(({ blocks }) => blocks[0] === 0)).toBe(true)
    const instants = new Set(requests.map(({ arrival }) => arrival))
    expect(1_797 / instants.size).toBeGreaterThan(2.5)
    expect(1_797 / instants.size).toBeLessThan(3.5)
    expect(requests.at(-1)!.arrival).toBe(1_797_000_000)
  })

  it('the arena has 1,500 requests of 27 clients in 10 minutes', async () => {
    const workload = await read('vtc-lmsys-arena/real_trace.csv')
    expect(workload.requests.length).toBe(1500)
    expect(new Set(workload.requests.map(({ tenant }) => tenant)).size).toBe(27)
    expect(Math.max(...prompts(workload))).toBe(1021)
    expect(Math.max(...outputs(workload))).toBe(977)
    expect(workload.requests.at(-1)!.arrival).toBeLessThanOrEqual(600_000_000)
  })

  it('agent sessions have the turns and gaps of their file', async () => {
    const name = 'weka-agentic-coding/traces.half.jsonl.gz'
    const workload = await read(name, { slice: { maxPrograms: 60 } })
    const sessions = new Set(workload.requests.map(({ program }) => program!.split('/')[0]))
    expect(sessions.size).toBe(60)
    const later = workload.requests.filter(({ turn }) => turn > 0)
    const growing = later.filter(({ includesAnswer }) => includesAnswer === true).length / later.length
    expect(growing).toBeGreaterThan(0.75)
    expect(reusableShare(workload, { serverBlockSize: 64 })).toBeGreaterThan(0.9)
  })

  it('ServeGen clients without lengths are named, the others drawn at their rates', async () => {
    const path = join(folder!, 'servegen/m-large.clients.days0-1.csv.gz')
    const { workload, faults } = await readTrace(path, { slice: { fromSeconds: 36_000, toSeconds: 36_600 } })
    expect(faults[0]!.message).toMatch(/^client \d+ has no lengths at 36000 s$/)
    expect(checkWorkload(workload)).toBeUndefined()
    expect(new Set(workload.requests.map(({ tenant }) => tenant)).size).toBeGreaterThan(10)
  })

  it('tau-bench has 200 runs with tool calls and one system prompt', async () => {
    const workload = await read('tau-bench-trajectories/gpt-4o-airline.json.gz')
    const first = workload.requests.filter(({ turn }) => turn === 0)
    expect(first.length).toBe(200)
    expect(new Set(first.map(({ blocks }) => blocks[0])).size).toBe(1)
    expect(workload.requests.some(({ gapKind }) => gapKind === 'tool')).toBe(true)
  })
})
