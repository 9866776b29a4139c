import { describe, expect, it } from 'vitest'
import { InvariantError } from '../core/errors.ts'
import { toBlockId, toRequestId, toSequenceId } from '../core/units.ts'
import type { Extent } from '../kvcache/extent.ts'
import type { PlanEntry, StepPlan } from '../scheduler/step-plan.ts'
import type { LogitsNeed } from './executor.ts'
import { FakeExecutor } from './fake-executor.ts'

const size = { vocabSize: 40, maxModelLen: 64, blockSize: 4, numBlocks: 16 }
const extent = (start: number, length: number): Extent => ({ start: toBlockId(start), length })

function entry(tokens: readonly number[], position: number, extents: readonly Extent[]): PlanEntry {
  const ids = { sequenceId: toSequenceId(1), requestId: toRequestId('r') }
  return { ...ids, tokens, position, extents, samples: true }
}

function plan(...entries: PlanEntry[]): StepPlan {
  return {
    step: 1,
    entries,
    numTokens: entries.reduce((sum, { tokens }) => sum + tokens.length, 0),
    preempted: [],
    copies: [],
  }
}

const best: LogitsNeed = { kind: 'argmax' }

async function bestAfter(executor: FakeExecutor, ...entries: PlanEntry[]): Promise<number> {
  const { rows } = await executor.execute(
    plan(...entries),
    entries.map(() => best),
  )
  return rows.at(-1)!.topIds[0]!
}

const tokens = [3, 1, 4, 1, 5, 9]

describe('the fake executor', () => {
  it('gives the same logits however the tokens are cut into steps and wherever they lie', async () => {
    const whole = await bestAfter(new FakeExecutor(size), entry(tokens, 0, [extent(0, 2)]))
    const executor = new FakeExecutor(size)
    const scattered = [extent(7, 1), extent(2, 1)]
    await bestAfter(executor, entry(tokens.slice(0, 3), 0, scattered))
    await bestAfter(executor, entry(tokens.slice(3, 5), 3, scattered))
    expect(await bestAfter(executor, entry(tokens.slice(5), 5, scattered))).toBe(whole)
  })

  it('gives other logits when somebody else has written into the blocks', async () => {
    const executor = new FakeExecutor(size)
    const clean = await bestAfter(executor, entry(tokens, 0, [extent(0, 2)]))
    await bestAfter(executor, entry([7, 7], 0, [extent(1, 1)]))
    expect(await bestAfter(executor, entry([9], 5, [extent(0, 2)]))).not.toBe(clean)
  })

  it('copies blocks before it computes', async () => {
    const whole = await bestAfter(new FakeExecutor(size), entry(tokens, 0, [extent(0, 2)]))
    const executor = new FakeExecutor(size)
    await bestAfter(executor, entry([...tokens.slice(0, 5), 8, 8, 8], 0, [extent(0, 2)]))
    const tail = { from: toBlockId(1), to: toBlockId(9), numTokens: 1 }
    const forked = entry(tokens.slice(5), 5, [extent(0, 1), extent(9, 1)])
    const other = entry([2], 5, [extent(0, 2)])
    const { rows } = await executor.execute({ ...plan(forked, other), copies: [tail] }, [best, best])
    expect(rows[0]!.topIds[0]).toBe(whole)
  })

  it('refuses copies whose order would matter', async () => {
    const copy = (from: number, to: number) => ({ from: toBlockId(from), to: toBlockId(to), numTokens: 4 })
    for (const copies of [
      [copy(1, 2), copy(3, 2)],
      [copy(1, 2), copy(2, 3)],
    ]) {
      await expect(new FakeExecutor(size).execute({ ...plan(), copies }, [])).rejects.toThrow(InvariantError)
    }
  })

  it.each([
    ['reads what was never written', [entry([1], 3, [extent(0, 1)])], 'read before'],
    ['writes a slot twice', [entry([1], 0, [extent(0, 1)]), entry([2], 0, [extent(0, 1)])], 'written twice'],
    ['has no block for a token', [entry([1, 2, 3, 4, 5], 0, [extent(0, 1)])], 'no slot'],
    ['goes beyond the pool', [entry([1], 0, [extent(16, 1)])], 'beyond the pool'],
    ['has a token beyond the vocabulary', [entry([40], 0, [extent(0, 1)])], 'vocabulary'],
  ])('refuses a plan that %s', async (_, entries, message) => {
    const executor = new FakeExecutor(size)
    const failure = executor.execute(
      plan(...entries),
      entries.map(() => best),
    )
    await expect(failure).rejects.toThrow(InvariantError)
    await expect(failure).rejects.toThrow(message)
  })

  it('ends texts as often as asked', async () => {
    const executor = new FakeExecutor({ ...size, endProbability: 0.25 })
    let numEnds = 0
    for (let token = 0; token < 39; token++) {
      for (let second = 0; second < 10; second++) {
        if ((await bestAfter(executor, entry([token, second], 0, [extent(0, 1)]))) === 39) numEnds++
      }
    }
    expect(numEnds / 390).toBeGreaterThan(0.18)
    expect(numEnds / 390).toBeLessThan(0.32)
  })

  it('takes the rows of a step back with the next one, as memory that is used again does', async () => {
    const executor = new FakeExecutor(size)
    const { rows } = await executor.execute(plan(entry([1], 0, [extent(0, 1)])), [{ kind: 'full' }])
    expect(rows[0]!.full().every(Number.isFinite)).toBe(true)
    await bestAfter(executor, entry([2], 1, [extent(0, 1)]))
    expect(rows[0]!.full().every(Number.isNaN)).toBe(true)
  })

  it('shows a mass that makes its logits a distribution', async () => {
    const executor = new FakeExecutor(size)
    const need = { kind: 'top', logSumExpAt: [0.5] } as const
    const { rows } = await executor.execute(plan(entry([1], 0, [extent(0, 1)])), [need])
    const row = rows[0]!
    const mass = row.full().reduce((sum, logit) => sum + Math.exp(logit * 0.5 - row.logSumExp(0.5)), 0)
    expect(mass).toBeCloseTo(1, 5)
  })
})
