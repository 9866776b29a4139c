import * as fc from 'fast-check'
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { anyWorkload, fixture, readText } from '../../../test/support/workloads.ts'
import { checkWorkload } from '../check-workload.ts'
import { generateWorkload } from '../generators/index.ts'
import { reusableShare } from '../reusable-tokens.ts'
import { synthesizePrompts } from '../synthesize-prompt.ts'
import type { Workload } from '../workload.ts'
import {
  capGaps,
  factorToFit,
  fitToModel,
  meanRate,
  scaleGaps,
  scaleLengths,
  scaleRate,
  scaleToRate,
  sliceWorkload,
  spreadArrivals,
} from './index.ts'

const sessions = readText('agent-sessions', fixture('agent-sessions.jsonl')).workload
const agents = generateWorkload('agents', { programs: 30, system: 640, tenants: 3 }, 7)
const actions = (workload: Workload) => workload.provenance.map(({ action }) => action)
const share = (workload: Workload) => reusableShare(workload, { serverBlockSize: 1 })

describe('every transformation', () => {
  const transforms: Record<string, (workload: Workload) => Workload> = {
    slice: (workload) => sliceWorkload(workload, { fromSeconds: 3, toSeconds: 30, maxRequests: 12 }),
    'scale-rate': (workload) => scaleRate(workload, 3.7),
    'scale-lengths': (workload) => scaleLengths(workload, 0.3),
    'cap-gaps': (workload) => capGaps(workload, 1.5),
    'scale-gaps': (workload) => scaleGaps(workload, 0.25),
    'fit-to-model': (workload) => fitToModel(workload, 700, 'drop'),
    'spread-arrivals': (workload) => spreadArrivals(workload, 4),
  }

  it.each(Object.entries(transforms))(
    '%s leaves a sound workload and says what it did',
    (name, transform) => {
      fc.assert(
        fc.property(anyWorkload, (workload) => {
          const changed = transform(workload)
          expect(checkWorkload(changed)).toBeUndefined()
          expect(actions(changed)).toEqual(['generate', name])
        }),
        { numRuns: 30 },
      )
      expect(checkWorkload(transform(sessions))).toBeUndefined()
    },
  )

  it('can follow any other', () => {
    const all = Object.values(transforms)
    fc.assert(
      fc.property(anyWorkload, fc.array(fc.constantFrom(...all), { maxLength: 4 }), (workload, chosen) => {
        const changed = chosen.reduce((current, transform) => transform(current), workload)
        expect(checkWorkload(changed)).toBeUndefined()
        expect(changed.provenance.length).toBe(chosen.length + 1)
      }),
      { numRuns: 50 },
    )
  })
})

describe('the same trace, seed and transformations', () => {
  it('give the same requests and prompts, byte for byte, wherever they are made', () => {
    const { workload } = readText('agent-sessions', fixture('agent-sessions.jsonl'), { seed: 11 })
    const changed = scaleLengths(capGaps(scaleToRate(workload, 2), 5), 0.25)
    const prompts = [...synthesizePrompts(changed, { seed: 5, range: { first: 10, count: 1000 } })]
    const hash = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex')
    expect([hash(changed), hash(prompts)]).toMatchInlineSnapshot(`
      [
        "e828b9bc012557eb4c9e8fd2f53f6220ffccb0b1cc8e7cd484c20f687afe837f",
        "6fca988ccbcfe0f1dfacb4d9845327c396646495c2fe994a2aba1b2d3695ef27",
      ]
    `)
  })
})

describe('slices', () => {
  it('keep programs whole by their start, and count time anew', () => {
    const slice = sliceWorkload(agents, { fromSeconds: 20, toSeconds: 60 })
    const starts = new Map(
      agents.requests.filter(({ turn }) => turn === 0).map((one) => [one.program, one.arrival]),
    )
    const kept = new Set(slice.requests.map(({ program }) => program))
    for (const [program, start] of starts) expect(kept.has(program)).toBe(start >= 20e6 && start < 60e6)
    expect(slice.requests.length).toBe(agents.requests.filter(({ program }) => kept.has(program)).length)
    expect(slice.requests[0]!.arrival).toBe(starts.get(slice.requests[0]!.program)! - 20e6)
  })

  it('choose by tenant, by program and by number', () => {
    const byTenant = sliceWorkload(agents, { tenants: ['tenant-1'] })
    expect(new Set(byTenant.requests.map(({ tenant }) => tenant))).toEqual(new Set(['tenant-1']))
    expect(
      new Set(sliceWorkload(agents, { maxPrograms: 4 }).requests.map(({ program }) => program)).size,
    ).toBe(4)
    expect(sliceWorkload(agents, { maxRequests: 5 }).requests).toEqual(agents.requests.slice(0, 5))
    const one = sliceWorkload(agents, { programs: ['agent-3'] })
    expect(one.requests.every(({ program }) => program === 'agent-3')).toBe(true)
    expect(one.provenance.at(-1)).toEqual({ action: 'slice', parameters: { programs: 'agent-3' } })
  })

  it('keep sub-agents with their parents, and drop them without', () => {
    expect(sliceWorkload(sessions, { programs: ['s1'] }).requests.length).toBe(5)
    expect(sliceWorkload(sessions, { programs: ['s2'] }).requests.length).toBe(1)
  })
})

describe('rates', () => {
  it('scale starts and leave gaps alone', () => {
    const faster = scaleRate(sessions, 2)
    const start = (workload: Workload, program: string) =>
      workload.requests.find((request) => request.program === program)!.arrival
    for (const name of ['s1', 's2']) expect(start(faster, name)).toBe(Math.round(start(sessions, name) / 2))
    expect(faster.requests.map(({ gap }) => gap).toSorted()).toEqual(
      sessions.requests.map(({ gap }) => gap).toSorted(),
    )
    expect(start(faster, 's1/agent_001')).toBe(start(faster, 's1') + 3_500_000)
  })

  it('reach the mean that was asked for', () => {
    expect(meanRate(scaleToRate(agents, 2.5))).toBeCloseTo(2.5, 4)
    const atOnce = {
      ...agents,
      requests: agents.requests.slice(0, 1).map((one) => ({ ...one, arrival: 0 as never })),
    }
    expect(meanRate(atOnce)).toBeUndefined()
    expect(scaleToRate(atOnce, 3)).toBe(atOnce)
  })
})

describe('lengths', () => {
  it('keep the share of tokens that can be reused', () => {
    for (const factor of [4, 0.5, 0.2, 0.05, 1 / 64]) {
      const scaled = scaleLengths(agents, factor)
      expect(Math.abs(share(scaled) - share(agents))).toBeLessThan(0.02)
    }
  })

  it('keep most of it where several blocks become a token', () => {
    const scaled = scaleLengths(agents, 1 / 200)
    expect(scaled.blockSize).toBe(1)
    expect(Math.abs(share(scaled) - share(agents))).toBeLessThan(0.15)
    expect(scaled.provenance.at(-1)!.parameters).toMatchObject({ asked: 0.005, blocksJoined: 3 })
  })

  it('change by the factor that provenance names', () => {
    const scaled = scaleLengths(agents, 0.3)
    const { factor } = scaled.provenance.at(-1)!.parameters
    expect(factor).toBe(19 / 64)
    const total = (workload: Workload) => workload.requests.reduce((sum, one) => sum + one.numPromptTokens, 0)
    expect(total(scaled) / total(agents)).toBeCloseTo(19 / 64, 2)
  })

  it('may leave answers as long as they are', () => {
    const outputs = (workload: Workload) => workload.requests.map(({ numOutputTokens }) => numOutputTokens)
    const poisson = generateWorkload('poisson', { requests: 20, spread: 1 }, 3)
    expect(outputs(scaleLengths(poisson, 0.1, 1))).toEqual(outputs(poisson))
  })

  it('fit a model by a factor', () => {
    const factor = factorToFit(agents, 2048)
    const scaled = scaleLengths(agents, factor)
    // The block rounds to whole tokens: half a token in 64 * factor.
    const slack = 1 + 0.5 / (64 * factor)
    for (const { numPromptTokens, numOutputTokens } of scaled.requests) {
      expect(numPromptTokens + numOutputTokens).toBeLessThanOrEqual(2048 * slack + 2)
    }
    expect(factorToFit(agents, 1_000_000)).toBe(1)
  })
})

describe('models that are too short', () => {
  it('lose requests and what comes after them, or their ends', () => {
    const dropped = fitToModel(agents, 1500, 'drop')
    const cut = fitToModel(agents, 1500, 'cut')
    for (const { requests } of [dropped, cut]) {
      expect(requests.every((one) => one.numPromptTokens + one.numOutputTokens <= 1500)).toBe(true)
    }
    expect(dropped.requests.length).toBeLessThan(agents.requests.length)
    expect(cut.requests.length).toBe(agents.requests.length)
    expect(cut.requests.map(({ blocks }) => blocks[0])).toEqual(
      agents.requests.map(({ blocks }) => blocks[0]),
    )
    expect(dropped.provenance.at(-1)!.parameters).toMatchObject({
      numDropped: agents.requests.length - dropped.requests.length,
    })
  })

  it('take sub-agents away with the turn that they come after', () => {
    const dropped = fitToModel(sessions, 300, 'drop')
    expect(dropped.requests.map(({ program }) => program)).toEqual(['s1', 's2'])
  })
})

describe('coarse clocks', () => {
  it('are undone inside each tick', () => {
    const { workload } = readText('mooncake', fixture('mooncake.jsonl'))
    const spread = spreadArrivals(workload, 1).requests.map(({ arrival }) => arrival)
    expect(spread[2]).toBe(3_000_000)
    expect(spread[0]).toBeGreaterThan(0)
    expect(spread[1]).toBeGreaterThan(spread[0]!)
    expect(spread[1]).toBeLessThan(3_000_000)
  })
})

describe('gaps', () => {
  it('are capped, and the count of capped ones is told', () => {
    const capped = capGaps(sessions, 10)
    expect(Math.max(...capped.requests.map(({ gap }) => gap))).toBe(10_000_000)
    expect(capped.provenance.at(-1)!.parameters).toEqual({ maxSeconds: 10, numCapped: 1 })
  })
})
