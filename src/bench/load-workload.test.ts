import { describe, expect, it } from 'vitest'
import { fixturePath } from '../../test/support/workloads.ts'
import { loadWorkload } from './load-workload.ts'
import { workloadShape } from './workload-shape.ts'

describe('a workload by name', () => {
  it('is a trace file or a call of a generator', async () => {
    expect((await loadWorkload(fixturePath('azure-2023.csv'))).workload.requests.length).toBe(3)
    const { workload } = await loadWorkload('poisson:requests=12,rate=2', {
      seed: 4,
      slice: { maxRequests: 5 },
    })
    expect(workload.requests.length).toBe(5)
    expect(workload.provenance).toMatchObject([
      { action: 'generate', parameters: { generator: 'poisson', requests: 12, rate: 2, seed: 4 } },
      { action: 'slice', parameters: { maxRequests: 5 } },
    ])
  })

  it('that is neither is refused', async () => {
    await expect(loadWorkload('unheard-of')).rejects.toThrow(
      'There is no file unheard-of, and no generator "unheard-of"; generators are poisson,',
    )
    await expect(loadWorkload('posson:rate=1')).rejects.toThrow('no generator "posson"')
    await expect(loadWorkload('./unheard-of')).rejects.toThrow('./unheard-of cannot be opened (ENOENT)')
    await expect(loadWorkload('poisson:speed=1')).rejects.toThrow('There is no parameter "speed"')
  })
})

describe('the shape of a workload', () => {
  it('counts requests, owners, lengths, arrivals and reuse', async () => {
    const { workload } = await loadWorkload(fixturePath('mooncake.jsonl'))
    const shape = workloadShape(workload, { seed: 1, loop: { kind: 'open' } })
    expect(shape).toMatchObject({ numRequests: 3, numTenants: 1, numPrograms: 0, durationSeconds: 3 })
    expect(shape.promptTokens).toMatchObject({ min: 1024, max: 1536, p50: 1100 })
    expect(shape.reusableShare).toBeCloseTo((512 + 1024) / (1100 + 1024 + 1536), 10)
    expect(shape.arrivals.counts.reduce((sum, count) => sum + count)).toBe(3)
    expect([shape.arrivals.counts[0], shape.arrivals.counts.at(-1)]).toEqual([2, 1])
  })

  it('is told of one that comes all at once, and of none', async () => {
    const { workload } = await loadWorkload(fixturePath('mooncake.jsonl'), { slice: { maxRequests: 2 } })
    const run = { seed: 1, loop: { kind: 'closed', numUsers: 2 } } as const
    expect(workloadShape(workload, run).arrivals).toEqual({ binSeconds: 1, counts: [2] })
    expect(workloadShape({ ...workload, requests: [] }, run)).toMatchObject({
      numRequests: 0,
      promptTokens: undefined,
    })
  })
})
