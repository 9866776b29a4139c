import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvariantError } from '../core/errors.ts'
import { RandomStream } from '../core/random.ts'
import { toBlockId } from '../core/units.ts'
import { BlockPool } from './block-pool.ts'
import type { Extent } from './extent.ts'

/** The pool as anybody would first write it: a count per block. `holdings` are who may release what. */
interface NaivePool {
  readonly references: number[]
  readonly holdings: Extent[][]
}

const blocksOf = (extents: readonly Extent[]) =>
  extents.flatMap(({ start, length }) => Array.from({ length }, (_, offset) => start + offset))

const numFreeIn = (model: NaivePool) => model.references.filter((count) => count === 0).length

function numFreeBehind(model: NaivePool, block: number): number {
  let length = 0
  while (model.references[block + 1 + length] === 0) length += 1
  return length
}

/** Lengths of the maximal free runs, ascending. */
function freeRuns(model: NaivePool): number[] {
  const runs = model.references.map((count) => (count === 0 ? '.' : '#')).join('')
  return (runs.match(/\.+/g) ?? []).map((run) => run.length).sort((a, b) => a - b)
}

class Allocate implements fc.Command<NaivePool, BlockPool> {
  readonly numBlocks: number
  readonly expectedGrowth: number

  constructor(numBlocks: number, expectedGrowth: number) {
    this.numBlocks = numBlocks
    this.expectedGrowth = expectedGrowth
  }

  check = () => true

  run(model: NaivePool, pool: BlockPool): void {
    const runs = freeRuns(model)
    const extents = pool.allocate({ numBlocks: this.numBlocks, expectedGrowth: this.expectedGrowth })
    if (this.numBlocks > numFreeIn(model)) {
      expect(extents).toBeUndefined()
    } else {
      if (this.numBlocks <= (runs.at(-1) ?? 0))
        expect(extents!.length, 'no split without need').toBeLessThan(2)
      own(model, extents!, this.numBlocks)
    }
    agree(model, pool)
  }

  toString = () => `allocate(${this.numBlocks}, growth ${this.expectedGrowth})`
}

class Grow implements fc.Command<NaivePool, BlockPool> {
  readonly holding: number
  readonly numBlocks: number

  constructor(holding: number, numBlocks: number) {
    this.holding = holding
    this.numBlocks = numBlocks
  }

  check = (model: Readonly<NaivePool>) =>
    this.holding < model.holdings.length && this.numBlocks <= numFreeIn(model)

  run(model: NaivePool, pool: BlockPool): void {
    const holding = model.holdings[this.holding]!
    const lastBlock = blocksOf(holding).at(-1)!
    const numBehind = Math.min(this.numBlocks, numFreeBehind(model, lastBlock))
    const extents = pool.allocate({ numBlocks: this.numBlocks, after: toBlockId(lastBlock) })!
    if (numBehind > 0) expect(extents[0]).toEqual({ start: lastBlock + 1, length: numBehind })
    own(model, extents, this.numBlocks)
    agree(model, pool)
  }

  toString = () => `grow(holding ${this.holding} by ${this.numBlocks})`
}

class Retain implements fc.Command<NaivePool, BlockPool> {
  readonly holding: number

  constructor(holding: number) {
    this.holding = holding
  }

  check = (model: Readonly<NaivePool>) => this.holding < model.holdings.length

  run(model: NaivePool, pool: BlockPool): void {
    // A shared prefix: half of the first extent.
    const { start, length } = model.holdings[this.holding]![0]!
    const shared = { start, length: Math.ceil(length / 2) }
    pool.retain(shared)
    for (const block of blocksOf([shared])) model.references[block]! += 1
    model.holdings.push([shared])
    agree(model, pool)
  }

  toString = () => `retain(half of holding ${this.holding})`
}

class Release implements fc.Command<NaivePool, BlockPool> {
  readonly holding: number

  constructor(holding: number) {
    this.holding = holding
  }

  check = (model: Readonly<NaivePool>) => this.holding < model.holdings.length

  run(model: NaivePool, pool: BlockPool): void {
    const [extents] = model.holdings.splice(this.holding, 1) as [Extent[]]
    for (const extent of extents) pool.release(extent)
    for (const block of blocksOf(extents)) model.references[block]! -= 1
    agree(model, pool)
  }

  toString = () => `release(holding ${this.holding})`
}

function own(model: NaivePool, extents: Extent[], numBlocks: number): void {
  const blocks = blocksOf(extents)
  expect(blocks).toHaveLength(numBlocks)
  for (const block of blocks) {
    expect(model.references[block], `block ${block} was free`).toBe(0)
    model.references[block] = 1
  }
  if (extents.length > 0) model.holdings.push(extents)
}

function agree(model: NaivePool, pool: BlockPool): void {
  const runs = freeRuns(model)
  expect(pool.numFreeBlocks).toBe(numFreeIn(model))
  expect(pool.numFreeRuns).toBe(runs.length)
  expect(pool.longestFreeRun).toBe(runs.at(-1) ?? 0)
  pool.checkReferences(model.references)
  pool.checkInvariants()
}

describe('the block pool', () => {
  it('agrees with a naive model for any allocations, growths, shares and releases', () => {
    const holding = fc.nat(12)
    const commands = [
      fc
        .tuple(fc.integer({ min: 0, max: 12 }), fc.nat(6))
        .map(([blocks, growth]) => new Allocate(blocks, growth)),
      fc.tuple(holding, fc.integer({ min: 1, max: 5 })).map(([index, blocks]) => new Grow(index, blocks)),
      holding.map((index) => new Retain(index)),
      holding.map((index) => new Release(index)),
    ]
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 70 }),
        fc.commands(commands, { maxCommands: 60 }),
        (numBlocks, list) => {
          const setup = () => ({
            model: { references: Array.from({ length: numBlocks }, () => 0), holdings: [] },
            real: new BlockPool(numBlocks),
          })
          fc.modelRun(setup, list)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('takes the best-fitting run and leaves longer ones whole', () => {
    const pool = new BlockPool(20)
    const [whole] = pool.allocate({ numBlocks: 20 }) as [Extent]
    expect(whole).toEqual({ start: 0, length: 20 })
    pool.release({ start: toBlockId(1), length: 6 })
    pool.release({ start: toBlockId(10), length: 3 })
    pool.release({ start: toBlockId(15), length: 4 })
    expect(pool.allocate({ numBlocks: 3 })).toEqual([{ start: 10, length: 3 }])
    expect(pool.allocate({ numBlocks: 4 })).toEqual([{ start: 15, length: 4 }])
  })

  it('splits only when no run is long enough, and then uses the longest first', () => {
    const pool = new BlockPool(10)
    pool.allocate({ numBlocks: 10 })
    pool.release({ start: toBlockId(0), length: 2 })
    pool.release({ start: toBlockId(4), length: 4 })
    expect(pool.allocate({ numBlocks: 5 })).toEqual([
      { start: 4, length: 4 },
      { start: 0, length: 1 },
    ])
  })

  it('frees a shared block only when the last user lets go', () => {
    const pool = new BlockPool(4)
    const [extent] = pool.allocate({ numBlocks: 2 }) as [Extent]
    pool.retain(extent)
    pool.release(extent)
    expect(pool.numFreeBlocks).toBe(2)
    pool.release(extent)
    expect(pool.numFreeBlocks).toBe(4)
    expect(pool.numFreeRuns).toBe(1)
  })

  it('refuses to free a free block or to share one', () => {
    const pool = new BlockPool(4)
    expect(() => pool.release({ start: toBlockId(1), length: 1 })).toThrow(InvariantError)
    expect(() => pool.retain({ start: toBlockId(1), length: 1 })).toThrow(InvariantError)
  })

  it('allocates and frees in a pool of a million blocks as fast as in a small one', () => {
    const random = new RandomStream(3)
    const pool = new BlockPool(1_000_000)
    const held: Extent[][] = []
    for (let round = 0; round < 20_000; round += 1) {
      if (held.length > 2000)
        for (const extent of held.splice(random.below(held.length), 1)[0]!) pool.release(extent)
      held.push(pool.allocate({ numBlocks: 1 + random.below(300) })!)
    }
    const numHeld = held.flat().reduce((sum, { length }) => sum + length, 0)
    expect(pool.numFreeBlocks).toBe(1_000_000 - numHeld)
    pool.checkInvariants()
  })
})
