import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { InvariantError } from '../core/errors.ts'
import { toBlockId } from '../core/units.ts'
import { Backend } from '../ggml/backend.ts'
import { addressOf } from '../ggml/graph-context.ts'
import { ggmlType } from '../ggml/tensor-struct.ts'
import type { BlockCopy } from '../scheduler/step-plan.ts'
import { BlockMover } from './block-mover.ts'
import { KvPool } from './kv-pool.ts'

const blockSize = 4
const numBlocks = 24
const numLayers = 3

const backend = new Backend({ device: 'cpu', numThreads: 1, referenceKernels: false })
const pool = new KvPool(backend, {
  numLayers,
  numKvHeads: 2,
  headDim: 32,
  typeK: ggmlType.f16,
  typeV: ggmlType.q8_0,
  numSlots: numBlocks * blockSize,
  numScratchSlots: 1,
})
const mover = new BlockMover(backend, pool, blockSize)
const { blocks: poolBlocks } = mover
afterAll(() => {
  mover.close()
  pool.close()
  backend.close()
})

const halves = [pool.k, pool.v].flatMap((half) => half.layers.map(({ tensor }) => ({ half, tensor })))
const blockBytes = (half: typeof pool.k) => half.rowBytes * blockSize

/** Gives every block bytes of its own: its number, in each layer half plus that half's number. */
function fillPool(): void {
  halves.forEach(({ half, tensor }, index) => {
    const bytes = new Uint8Array(blockBytes(half) * numBlocks)
    for (let block = 0; block < numBlocks; block++)
      bytes.fill(block + 32 * index, block * blockBytes(half), (block + 1) * blockBytes(half))
    backend.ggml.setTensor(tensor, addressOf(bytes), 0, bytes.length)
  })
}

/** Which block's bytes each block holds; throws when the layers or bytes of a block disagree. */
function contents(): number[] {
  const perHalf = halves.map(({ half, tensor }, index) => {
    const bytes = new Uint8Array(blockBytes(half) * numBlocks)
    backend.ggml.getTensor(tensor, addressOf(bytes), 0, bytes.length)
    return Array.from({ length: numBlocks }, (_, block) => {
      const values = new Set(bytes.subarray(block * blockBytes(half), (block + 1) * blockBytes(half)))
      expect(values.size).toBe(1)
      return [...values][0]! - 32 * index
    })
  })
  for (const half of perHalf) expect(half).toEqual(perHalf[0])
  return perHalf[0]!
}

const copyOf = (from: number, to: number): BlockCopy => ({
  from: toBlockId(from),
  to: toBlockId(to),
  numTokens: blockSize,
})
const extent = (start: number, length: number) => ({ start: toBlockId(start), length })
const inOrder = Array.from({ length: numBlocks }, (_, block) => block)

describe('moving blocks', () => {
  it('copies blocks in all layers, as a naive copy would', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(numBlocks - 1), { minLength: 2 }),
        fc.array(fc.nat(numBlocks), { minLength: numBlocks, maxLength: numBlocks }),
        fc.nat(numBlocks),
        (blocks, choices, split) => {
          const cut = 1 + (split % (blocks.length - 1))
          const sources = blocks.slice(0, cut)
          const targets = blocks.slice(cut)
          const copies = targets.map((to, index) => copyOf(sources[choices[index]! % cut]!, to))
          fillPool()
          mover.copy(copies)
          const expected = [...inOrder]
          for (const { from, to } of copies) expected[to] = from
          expect(contents()).toEqual(expected)
        },
      ),
    )
  })

  it('copies adjacent blocks as it copies single ones', () => {
    fillPool()
    mover.copy([copyOf(3, 10), copyOf(4, 11), copyOf(5, 12), copyOf(7, 2)])
    expect(contents().slice(10, 13)).toEqual([3, 4, 5])
    expect(contents()[2]).toBe(7)
  })

  it('refuses copies whose order would matter', () => {
    expect(() => mover.copy([copyOf(1, 2), copyOf(2, 3)])).toThrow(InvariantError)
    expect(() => mover.copy([copyOf(1, 3), copyOf(2, 3)])).toThrow(InvariantError)
  })

  it('brings blocks back into other extents than they left', async () => {
    fillPool()
    const bytes = new Uint8Array(8 * poolBlocks.bytesPerBlock)
    await poolBlocks.read([extent(4, 5), extent(20, 3)], bytes)
    await poolBlocks.write([extent(0, 2), extent(10, 6)], bytes)
    const expected = [...inOrder]
    expected.splice(0, 2, 4, 5)
    expected.splice(10, 6, 6, 7, 8, 20, 21, 22)
    expect(contents()).toEqual(expected)
  })

  it('keeps each block in one piece outside the pool', async () => {
    fillPool()
    const bytes = new Uint8Array(3 * poolBlocks.bytesPerBlock)
    await poolBlocks.read([extent(4, 3)], bytes)
    await poolBlocks.write([extent(10, 1)], bytes.subarray(2 * poolBlocks.bytesPerBlock))
    expect(contents()[10]).toBe(6)
  })

  it('refuses to run over the end of its staging memory', async () => {
    const bytes = new Uint8Array(2 * poolBlocks.bytesPerBlock)
    await expect(poolBlocks.read([extent(0, 3)], bytes)).rejects.toThrow(InvariantError)
    await expect(poolBlocks.write([extent(0, 1), extent(4, 2)], bytes)).rejects.toThrow(InvariantError)
  })

  it('says what a block weighs', () => {
    expect(poolBlocks.bytesPerBlock).toBe(numLayers * blockSize * (64 * 2 + (64 / 32) * 34))
  })
})
