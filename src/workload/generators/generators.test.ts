import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { readText } from '../../../test/support/workloads.ts'
import { checkWorkload } from '../check-workload.ts'
import { mooncakeLines } from '../mooncake-writer.ts'
import { reusableShare, reusableTokens } from '../reusable-tokens.ts'
import { meanRate } from '../transforms/index.ts'
import { generateWorkload, generatorNames, parseGeneratorCall } from './index.ts'

const hash = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)

describe('every generator', () => {
  it.each(generatorNames)('%s makes a sound workload that says how it was made', (name) => {
    const workload = generateWorkload(name, {}, 42)
    expect(checkWorkload(workload)).toBeUndefined()
    expect(workload.provenance[0]).toMatchObject({
      action: 'generate',
      parameters: { generator: name, seed: 42 },
    })
  })

  it.each(generatorNames)('%s draws the same for the same seed, and other things for another', (name) => {
    expect(generateWorkload(name, {}, 1)).toEqual(generateWorkload(name, {}, 1))
    expect(hash(generateWorkload(name, {}, 1).requests)).not.toBe(
      hash(generateWorkload(name, {}, 2).requests),
    )
  })

  it('draws what it always drew, byte for byte', () => {
    const hashes = generatorNames.map((name) => [name, hash(generateWorkload(name, {}, 42).requests)])
    expect(Object.fromEntries(hashes)).toMatchInlineSnapshot(`
      {
        "agents": "645878227b21150e",
        "burstgpt": "e34bbcbed78618de",
        "bursts": "3f3afbe6a7cf2e64",
        "daily": "7576a59197265f1c",
        "poisson": "d7fdbf2fec0bc215",
        "prefix-tree": "fe4a7902694b29b5",
        "tenants": "4d42c82cf90ba279",
      }
    `)
  })

  it.each(generatorNames)('%s comes back from Mooncake lines with the same shape', (name) => {
    const workload = generateWorkload(name, {}, 5)
    const { workload: read, collector } = readText('recording', [...mooncakeLines(workload)].join(''))
    expect(collector.numFaults).toBe(0)
    expect(checkWorkload(read)).toBeUndefined()
    const shape = ({ requests }: typeof read) => requests.map(({ blocks, ...rest }) => [rest, blocks.length])
    expect(shape(read)).toEqual(shape(workload))
    const options = { serverBlockSize: 1 }
    expect(reusableTokens(read, options)).toEqual(reusableTokens(workload, options))
  })
})

describe('parameters', () => {
  it('come as text after a name', () => {
    expect(parseGeneratorCall('tenants:shares=5:3:1,requests=90')).toEqual({
      name: 'tenants',
      given: { shares: '5:3:1', requests: '90' },
    })
    expect(parseGeneratorCall('agents')).toEqual({ name: 'agents', given: {} })
    expect(parseGeneratorCall('trace.csv')).toBeUndefined()
    expect(() => parseGeneratorCall('agents:many')).toThrow(/"many" is not a parameter/)
  })

  it('that are unknown, no numbers or out of range are refused by name', () => {
    const generate = (given: Record<string, string>) => () => generateWorkload('bursts', given, 1)
    expect(generate({ speed: '1' })).toThrow(/no parameter "speed"; there are requests, rate/)
    expect(generate({ rate: 'fast' })).toThrow('rate: "fast" is not a number of at least')
    expect(generate({ requests: '1.5' })).toThrow('requests: "1.5" is not an integer of at least 1.')
    expect(generate({ shares: '3:x' })).toThrow(/shares/)
  })
})

describe('what they draw', () => {
  it('has the rate, the lengths and the shares that were asked for', () => {
    const { requests, ...workload } = generateWorkload(
      'poisson',
      { requests: 8000, rate: 4, prompt: 300, spread: 0.5, shares: '6:3:1' },
      3,
    )
    expect(meanRate({ ...workload, requests })).toBeCloseTo(4, 0)
    const mean = requests.reduce((sum, { numPromptTokens }) => sum + numPromptTokens, 0) / 8000
    expect(Math.abs(mean - 300)).toBeLessThan(10)
    const share = (tenant: string) => requests.filter((request) => request.tenant === tenant).length / 8000
    expect(share('tenant-0')).toBeCloseTo(0.6, 1)
    expect(share('tenant-2')).toBeCloseTo(0.1, 1)
  })

  it.each(['poisson', 'tenants'] as const)('%s puts long prompts beside others', (name) => {
    const { requests } = generateWorkload(
      name,
      { requests: 4000, prompt: 100, 'long-share': 0.1, 'long-prompt': 2000 },
      9,
    )
    const lengths = requests.map(({ numPromptTokens }) => numPromptTokens)
    expect(new Set(lengths)).toEqual(new Set([100, 2000]))
    const share = lengths.filter((length) => length === 2000).length / lengths.length
    expect(share).toBeGreaterThan(0.085)
    expect(share).toBeLessThan(0.115)
  })

  it('gives each of many tenants its part', () => {
    const { requests } = generateWorkload('tenants', { requests: 1000, tenants: 4, zipf: 1 }, 1)
    const counts = [0, 1, 2, 3].map(
      (index) => requests.filter(({ tenant }) => tenant === `tenant-${index}`).length,
    )
    expect(counts).toEqual([480, 240, 160, 120])
  })

  it.each([1, 7, 200, 1001])('shares out %i requests among tenants to the last one', (count) => {
    for (const tenants of [1, 3, 8, 40])
      expect(generateWorkload('tenants', { requests: count, tenants }, 1).requests).toHaveLength(count)
  })

  it('shares beginnings in a tree, more of them the fewer ways there are', () => {
    const shareOf = (fanout: number) =>
      reusableShare(generateWorkload('prefix-tree', { fanout, level: 256, prompt: 64 }, 1), {
        serverBlockSize: 1,
      })
    expect(shareOf(2)).toBeGreaterThan(shareOf(64))
    expect(shareOf(2)).toBeGreaterThan(0.8)
  })

  it('lets agents grow their history by answers and results, with tool calls between', () => {
    const { requests } = generateWorkload('agents', { programs: 200, turns: 5, 'max-tokens': 100_000 }, 9)
    expect(requests.length / 200).toBeGreaterThan(4)
    expect(requests.length / 200).toBeLessThan(6)
    const later = requests.filter(({ turn }) => turn > 0)
    expect(later.every(({ includesAnswer }) => includesAnswer)).toBe(true)
    const thinking = later.filter(({ gapKind }) => gapKind === 'think').length
    expect(thinking / later.length).toBeCloseTo(0.15, 1)
  })

  it('has the variation of gaps that BurstGPT publishes', () => {
    const { requests } = generateWorkload('burstgpt', { requests: 20_000 }, 1)
    const gaps = requests.map(({ arrival }, index) => arrival - (requests[index - 1]?.arrival ?? 0))
    const mean = gaps.reduce((sum, gap) => sum + gap) / gaps.length
    const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length)
    expect(deviation / mean).toBeCloseTo(Math.SQRT2, 1)
    expect(Math.max(...requests.map(({ numPromptTokens }) => numPromptTokens))).toBeLessThan(1024)
  })
})
