import { describe, expect, it } from 'vitest'
import { fixture } from '../../../test/support/workloads.ts'
import { servegen } from './servegen.ts'
import type { WorkloadRequest } from '../workload.ts'

function draw(window: { readonly fromSeconds?: number; readonly toSeconds?: number }, seed = 0) {
  const reader = servegen.open({
    seed,
    sessionsPerSecond: 1,
    thinkSeconds: 0,
    countTokens: () => 1,
    fromSeconds: window.fromSeconds ?? 0,
    toSeconds: window.toSeconds,
  })
  const companion = fixture('tiny.datasets.jsonl').split('\n')
  expect(companion.map((line) => reader.readCompanion!(line)).filter((fault) => fault !== undefined)).toEqual(
    [],
  )
  const requests: WorkloadRequest[] = []
  const faults: string[] = []
  for (const line of fixture('tiny.clients.csv').split('\n')) {
    const result = reader.read(line)
    requests.push(...result.requests)
    if (result.fault !== undefined) faults.push(result.fault)
  }
  return { requests, faults }
}

describe('ServeGen', () => {
  it('draws each client at its rate, with its lengths, in its windows', () => {
    const numRuns = 60
    const runs = Array.from({ length: numRuns }, (_, seed) => draw({}, seed).requests)
    const of = (client: string) => runs.map((run) => run.filter(({ tenant }) => tenant === client))
    const counts = of('client-0').map((requests) => requests.length)
    // 600 s at 0.5/s is 300 a run; gaps with a coefficient of 2 make it vary by about 35.
    expect(counts.reduce((sum, count) => sum + count) / numRuns).toBeGreaterThan(280)
    expect(counts.reduce((sum, count) => sum + count) / numRuns).toBeLessThan(325)
    for (const request of of('client-0').flat()) {
      expect(request.arrival).toBeLessThan(600_000_000)
      expect([100, 200]).toContain(request.numPromptTokens)
      expect(request.numOutputTokens).toBe(10)
    }
    const outputs = of('client-1')
      .flat()
      .map(({ numOutputTokens }) => numOutputTokens)
    expect(outputs.filter((length) => length === 40).length / outputs.length).toBeCloseTo(0.75, 1)
    const second = of('client-1')
      .flat()
      .filter(({ arrival }) => arrival >= 600_000_000).length
    expect(second / numRuns).toBeGreaterThan(105)
    expect(second / numRuns).toBeLessThan(135)
  })

  it('names clients whose lengths are missing', () => {
    expect(draw({}).faults).toEqual(['client 2 has no lengths at 0 s'])
  })

  it('draws nothing outside of the window', () => {
    const { requests } = draw({ fromSeconds: 100, toSeconds: 200 })
    expect(requests.length).toBeGreaterThan(0)
    for (const { arrival } of requests) {
      expect(arrival).toBeGreaterThanOrEqual(100_000_000)
      expect(arrival).toBeLessThan(200_000_000)
    }
  })

  it('knows the name of the file with the lengths', () => {
    expect(servegen.companion!('m-large.clients.days0-1.csv.gz')).toBe('m-large.datasets.days0-1.jsonl.gz')
  })
})
