import { describe, expect, it } from 'vitest'
import { RandomStream } from '../core/random.ts'
import { toBlockId } from '../core/units.ts'
import { extent, HandPlanned, largestDifference, type Turn } from '../../test/support/shared-sequences.ts'
import type { GgmlExecutorOptions } from './executor-options.ts'

/** Of logits of order 10: row-wise attention sums in half precision, tiles in single. */
const bound = 0.15
const blockSize = 32
const numBlocks = 128
/** One thread: beside other work, waiting for a second one would take most of the time. */
const pool = {
  numThreads: 1,
  kvCacheTokens: numBlocks * blockSize,
  blockSize,
  modelPath: 'models/yardling/yardling-f16.gguf',
}
const random = new RandomStream(5)
const randomTokens = (count: number) => Array.from({ length: count }, () => random.below(2000))

const prefix = randomTokens(20 * blockSize)
const numSequences = 12
const tails = Array.from({ length: numSequences }, (_, index) => randomTokens(1 + (index % 40)))

/** All sequences begin in blocks 0 to 19 and go on in two blocks of their own. */
const extentsOf = (index: number) => [extent(0, 20), extent(40 + 2 * index, 2)]

/** Computes a prefix once, then every tail, then `numSteps` single tokens; the logits of all those steps. */
async function decodeTogether(
  options: Partial<GgmlExecutorOptions>,
  numSteps: number,
): Promise<Float32Array[][]> {
  const machine = await HandPlanned.open({ ...pool, ...options })
  await machine.run([{ tokens: prefix.slice(0, 512), position: 0, extents: [extent(0, 20)] }])
  await machine.run([{ tokens: prefix.slice(512), position: 512, extents: [extent(0, 20)] }])
  for (const [index, tokens] of tails.entries())
    await machine.run([{ tokens, position: prefix.length, extents: extentsOf(index) }])
  const steps: Float32Array[][] = []
  for (let step = 0; step < numSteps; step++) {
    const turns = tails.map((tail, index): Turn => {
      const position = prefix.length + tail.length + step
      return { tokens: [100 + step * 7 + index], position, extents: extentsOf(index) }
    })
    // Someone who shares nothing is in the middle of the step.
    turns.splice(5, 0, { tokens: [9], position: step, extents: [extent(30, 1)] })
    steps.push(await machine.run(turns))
  }
  await machine.close()
  return steps
}

describe('sequences that share a prefix', () => {
  it.each([
    ['f16', bound],
    // Attending alone rounds queries to eight bits too; together, they stay floats.
    ['q8_0', 0.4],
  ] as const)('attend together as they attend alone, with KV of %s', async (type, most) => {
    const kv = { cacheTypeK: type, cacheTypeV: type }
    const alone = await decodeTogether({ ...kv, sharedAttention: 'never' }, 2)
    const together = await decodeTogether({ ...kv, sharedAttention: 'always' }, 2)
    together.forEach((rows, step) => {
      const difference = largestDifference(rows, alone[step]!)
      expect(difference, `step ${step}`).toBeLessThan(most)
      expect(difference, 'another way of summing leaves its traces').toBeGreaterThan(0)
      expect(rows[5], 'who shares nothing').toEqual(alone[step]![5])
    })
  })

  it('do not attend together where results must not depend on the batch', async () => {
    const invariant = await decodeTogether({ batchInvariant: true, sharedAttention: 'always' }, 2)
    expect(invariant).toEqual(await decodeTogether({ batchInvariant: true, sharedAttention: 'never' }, 2))
  })
})

describe('a chunk of a prompt', () => {
  const first = randomTokens(640)
  const chunks = [2, 5, 9, 16, 33, 63, 70].map(randomTokens)

  /** The logits behind every chunk, all chunks after the same beginning. */
  async function run(
    options: Partial<GgmlExecutorOptions>,
    extents: Turn['extents'],
  ): Promise<Float32Array[]> {
    const machine = await HandPlanned.open({ ...pool, ...options })
    await machine.run([{ tokens: first.slice(0, 512), position: 0, extents }])
    await machine.run([{ tokens: first.slice(512), position: 512, extents }])
    const rows: Float32Array[] = []
    for (const tokens of chunks) rows.push(...(await machine.run([{ tokens, position: 640, extents }])))
    await machine.close()
    return rows
  }

  it.each([
    ['f16', [extent(0, 24)], bound],
    ['f16', [extent(0, 20), extent(100, 4)], bound],
    ['q8_0', [extent(0, 24)], 0.4],
  ] as const)(
    'computes with stacked queries what it computes without, KV of %s in %j',
    async (type, extents, most) => {
      const kv = { cacheTypeK: type, cacheTypeV: type }
      const plain = await run({ ...kv, stackedChunks: false }, extents)
      const stacked = await run({ ...kv, stackedChunks: true }, extents)
      const difference = largestDifference(stacked, plain)
      expect(difference).toBeLessThan(most)
      expect(difference, 'another way of summing leaves its traces').toBeGreaterThan(0)
    },
  )

  it('keeps its queries apart where results must not depend on the batch', async () => {
    const extents = [extent(0, 24)]
    const allowed = await run({ batchInvariant: true, stackedChunks: true }, extents)
    expect(allowed).toEqual(await run({ batchInvariant: true, stackedChunks: false }, extents))
  })
})

describe('a sequence in several extents', () => {
  const tokens = randomTokens(700)
  /** Near, far, in falling order, and several: [first block, blocks]. */
  const inMany = [
    [
      [2, 20],
      [24, 4],
    ],
    [
      [0, 3],
      [100, 21],
    ],
    [
      [60, 20],
      [30, 4],
    ],
    [
      [50, 1],
      [10, 5],
      [90, 15],
      [80, 3],
    ],
  ] as const

  async function decode(machine: HandPlanned, extents: Turn['extents']): Promise<Float32Array[]> {
    const rows = await machine.run([{ tokens: tokens.slice(0, 400), position: 0, extents }])
    rows.push(...(await machine.run([{ tokens: tokens.slice(400), position: 400, extents }])))
    for (let step = 0; step < 3; step++)
      rows.push(...(await machine.run([{ tokens: [step + 3], position: tokens.length + step, extents }])))
    return rows
  }

  it('computes the same bits in a quantised cache, whose chunks are read as floats', async () => {
    const machine = await HandPlanned.open({ ...pool, cacheTypeK: 'q8_0', cacheTypeV: 'q4_0' })
    const run = (extents: Turn['extents']) =>
      machine.run([{ tokens: tokens.slice(0, 400), position: 0, extents }])
    const expected = await run([extent(0, 24)])
    for (const pieces of inMany)
      expect(await run(pieces.map(([start, length]) => extent(start, length)))).toEqual(expected)
    await machine.close()
  })

  it.each([false, true])('computes what it computes in one (batch-invariant: %s)', async (batchInvariant) => {
    const machine = await HandPlanned.open({ ...pool, batchInvariant })
    const expected = await decode(machine, [extent(0, 24)])
    for (const pieces of inMany) {
      const rows = await decode(
        machine,
        pieces.map(([start, length]) => extent(start, length)),
      )
      if (batchInvariant) expect(rows, `extents ${pieces.join(' ')}`).toEqual(expected)
      else expect(largestDifference(rows, expected), `extents ${pieces.join(' ')}`).toBeLessThan(bound)
    }
    await machine.close()
  })
})

it('copies the blocks of a plan before it computes', async () => {
  const machine = await HandPlanned.open(pool)
  const tokens = randomTokens(100)
  const [expected] = await machine.run([{ tokens: [...tokens, 7], position: 0, extents: [extent(0, 4)] }])
  const copies = [
    { from: toBlockId(2), to: toBlockId(50), numTokens: 32 },
    { from: toBlockId(3), to: toBlockId(51), numTokens: 4 },
  ]
  const forked = { tokens: [7], position: 100, extents: [extent(0, 2), extent(50, 2)] }
  const [row] = await machine.run([forked], copies)
  await machine.close()
  expect(largestDifference([row!], [expected!])).toBeLessThan(bound)
})
