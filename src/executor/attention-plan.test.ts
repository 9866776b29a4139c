import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toRequestId, toSequenceId } from '../core/units.ts'
import { keysAttended } from '../scheduler/step-work.ts'
import type { PlanEntry } from '../scheduler/step-plan.ts'
import {
  alignedRows,
  chunkAttentionCost,
  mostStackedRows,
  sharedAttentionCost,
  singleAttentionCost,
  type AttentionMachine,
} from './attention-cost.ts'
import { planAttention, type AttentionRules } from './attention-plan.ts'
import type { SlotRun } from './kv-view.ts'

const machine: AttentionMachine = {
  numThreads: 2,
  numHeads: 14,
  numKvHeads: 2,
  headDim: 64,
  maxGatheredTokens: 65_536,
}
const rules: AttentionRules = {
  machine,
  sharing: 'auto',
  spans: true,
  stacks: true,
  unpacks: false,
  keepsOrder: false,
}
const run = (slot: number, length: number): SlotRun => ({ slot, length })

const entry = (numTokens = 1): PlanEntry => ({
  sequenceId: toSequenceId(1),
  requestId: toRequestId('r'),
  tokens: Array.from({ length: numTokens }, () => 1),
  position: 0,
  extents: [],
  samples: true,
})

/** Decodes over a common prefix, each with a tail of its own elsewhere. */
const sharers = (count: number, prefix: number, tail: number) =>
  Array.from({ length: count }, (_, index) => [run(0, prefix), run(100_000 + 1000 * index, tail)])

const decodes = (count: number) => Array.from({ length: count }, () => entry())

describe('the plan of attention', () => {
  it('lets many sequences with a long common prefix attend together', () => {
    const { units } = planAttention(decodes(32), sharers(32, 4000, 100), rules)
    expect(units).toEqual([
      expect.objectContaining({ kind: 'shared', numSequences: 32, numSharedTokens: 4000 }),
    ])
  })

  it('leaves few sequences, short prefixes and long tails alone', () => {
    for (const runs of [sharers(2, 4000, 10), sharers(32, 30, 100), sharers(16, 500, 4000)]) {
      const { units } = planAttention(decodes(runs.length), runs, rules)
      expect(units.every(({ kind }) => kind === 'single')).toBe(true)
    }
  })

  it('leaves all alone where results must not depend on the batch', () => {
    const { units } = planAttention(decodes(32), sharers(32, 4000, 100), { ...rules, sharing: 'never' })
    expect(units.every(({ kind }) => kind === 'single')).toBe(true)
  })

  it('groups only decodes, and keeps the others in their order behind them', () => {
    const runs = [[run(0, 4001)], ...sharers(32, 4000, 100), [run(50_000, 7)]]
    const { order, units } = planAttention([entry(64), ...decodes(33)], runs, rules)
    expect(order).toEqual([...Array.from({ length: 32 }, (_, index) => index + 1), 0, 33])
    expect(units.map(({ kind }) => kind)).toEqual(['shared', 'single', 'single'])
  })

  it('reads the quantised KV of long chunks as floats, as far as there is room', () => {
    const small = { ...machine, maxGatheredTokens: 1000 }
    const unpacking = { ...rules, unpacks: true, stacks: false, machine: small }
    const paths = (lengths: number[], numTokens: number) =>
      planAttention(
        lengths.map(() => entry(numTokens)),
        lengths.map((length) => [run(0, length)]),
        unpacking,
      ).units.map((unit) => unit.kind === 'single' && unit.path)
    expect(paths([1000], 64)).toEqual(['floats'])
    expect(paths([1000], 63)).toEqual(['direct'])
    expect(paths([1001], 64)).toEqual(['direct'])
    const six = ['floats', 'floats', 'floats', 'floats', 'direct', 'floats']
    expect(paths([900, 900, 900, 900, 900, 400], 64)).toEqual(six)
  })

  it('stacks the queries of short chunks over long contexts', () => {
    const unitOf = (numTokens: number, position: number, changed: Partial<AttentionRules> = {}) => {
      const chunk = { ...entry(numTokens), position }
      const own = { ...rules, ...changed }
      const unit = planAttention([chunk], [[run(0, position + numTokens)]], own).units[0]
      return unit?.kind === 'single' ? unit : undefined
    }
    for (const numTokens of [16, 32, 63]) {
      const { numStackedRows } = unitOf(numTokens, 4000)!
      expect(numStackedRows).toBeGreaterThanOrEqual(7 * numTokens)
      expect(unitOf(numTokens, 4000, { stacks: false })?.numStackedRows).toBe(0)
    }
    expect(unitOf(1, 4000)?.numStackedRows, 'a decode is one row').toBe(0)
    expect(unitOf(16, 0)?.numStackedRows, 'hardly any keys').toBe(0)
    expect(unitOf(2, 4000)?.numStackedRows, 'hardly any rows').toBe(0)
    expect(unitOf(16, 4000, { unpacks: true })).toMatchObject({ path: 'floats' })
    const noRoom = { unpacks: true, machine: { ...machine, maxGatheredTokens: 4000 } }
    expect(unitOf(16, 4000, noRoom), 'quantised').toMatchObject({ path: 'direct', numStackedRows: 0 })
  })

  it('reads near extents as one span and gathers far ones', () => {
    const pathOf = (runs: SlotRun[], numTokens = 1, changed: Partial<AttentionRules> = {}) =>
      planAttention([entry(numTokens)], [runs], { ...rules, ...changed }).units[0]
    expect(pathOf([run(64, 100)])).toMatchObject({ path: 'direct' })
    expect(pathOf([run(0, 960), run(1024, 32)])).toMatchObject({ path: 'span', numExtents: 1 })
    expect(pathOf([run(0, 960), run(90_000, 32)])).toMatchObject({ path: 'gather', numExtents: 2 })
    expect(pathOf([run(0, 960), run(1024, 32)], 8)).toMatchObject({ path: 'gather' })
    expect(pathOf([run(1024, 960), run(0, 32)])).toMatchObject({ path: 'span' })
    expect(pathOf([run(1024, 960), run(0, 32)], 1, { keepsOrder: true })).toMatchObject({ path: 'gather' })
    expect(pathOf([run(0, 960), run(1024, 32)], 1, { spans: false })).toMatchObject({ path: 'gather' })
  })
})

describe('the cost of attention', () => {
  const machines = fc.record({
    numThreads: fc.integer({ min: 1, max: 64 }),
    numKvHeads: fc.constantFrom(1, 2, 4, 8),
    groupSize: fc.constantFrom(1, 2, 4, 7, 8),
    headDim: fc.constantFrom(64, 128),
  })

  it('has enough rows for all queries, whole tiles when aligned, and never more than room is kept for', () => {
    fc.assert(
      fc.property(machines, fc.integer({ min: 2, max: 128 }), fc.nat(8000), (shape, count, prefix) => {
        const own = { ...shape, numHeads: shape.numKvHeads * shape.groupSize, maxGatheredTokens: 1e6 }
        const tails = Array.from({ length: count }, (_, index) => index)
        const { numRows, cost } = sharedAttentionCost(own, { numSharedTokens: prefix, tails })
        expect(numRows).toBeGreaterThanOrEqual(Math.max(64, count * shape.groupSize))
        expect(numRows).toBeLessThanOrEqual(mostStackedRows(own, count))
        expect(alignedRows(own, count * shape.groupSize) % 64).toBe(0)
        expect(cost).toBeGreaterThan(0)
      }),
    )
  })

  it('does not fit where the tokens have no room', () => {
    const small = { ...machine, maxGatheredTokens: 1000 }
    expect(sharedAttentionCost(small, { numSharedTokens: 900, tails: [100, 1] }).fits).toBe(false)
    expect(sharedAttentionCost(small, { numSharedTokens: 899, tails: [100, 1] }).fits).toBe(true)
  })

  it('of a chunk is never more stacked than plain, in rows that there is room for', () => {
    fc.assert(
      fc.property(machines, fc.integer({ min: 2, max: 512 }), fc.nat(8000), (shape, numTokens, position) => {
        const own = { ...shape, numHeads: shape.numKvHeads * shape.groupSize, maxGatheredTokens: 1e6 }
        const { numRows, cost } = chunkAttentionCost(own, position, numTokens)
        expect(numRows).toBeLessThanOrEqual(mostStackedRows(own, 512))
        if (numRows > 0) expect(numRows).toBeGreaterThanOrEqual(numTokens * shape.groupSize)
        if (numTokens < 64)
          expect(cost).toBeLessThanOrEqual(
            (own.numHeads * keysAttended(position, numTokens)) / own.numThreads,
          )
      }),
    )
  })

  it('grows with the length of what is shared far slower together than alone', () => {
    const tails = Array.from({ length: 32 }, () => 50)
    const together = (numSharedTokens: number) =>
      sharedAttentionCost(machine, { numSharedTokens, tails }).cost
    const alone = (length: number) => 32 * singleAttentionCost(machine, length)
    expect(together(8000) - together(4000)).toBeLessThan((alone(8050) - alone(4050)) / 2)
  })
})
