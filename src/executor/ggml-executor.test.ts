import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { testExecutorOptions } from '../../test/support/single-sequence.ts'
import { toBlockId, toRequestId, toSequenceId } from '../core/units.ts'
import type { StepPlan } from '../scheduler/step-plan.ts'
import { createExecutor } from './create-executor.ts'
import type { Executor, LogitsNeed, LogitsRow } from './executor.ts'

const modelPath = fileURLToPath(new URL('../../models/yardling/yardling-q8_0.gguf', import.meta.url))

/** A step in which each sequence has its own prompt and its own part of the pool. */
function planOf(prompts: readonly (readonly number[])[]): StepPlan {
  const entries = prompts.map((tokens, index) => ({
    sequenceId: toSequenceId(index),
    requestId: toRequestId(`r${index}`),
    tokens,
    position: 0,
    extents: [{ start: toBlockId(index), length: 1 }],
    samples: true,
  }))
  const numTokens = prompts.reduce((sum, tokens) => sum + tokens.length, 0)
  return { step: 0, entries, numTokens, preempted: [], copies: [] }
}

function logSumExpOf(row: LogitsRow, inverseTemperature: number): number {
  const best = row.topLogits[0]! * inverseTemperature
  return (
    best + Math.log(row.full().reduce((sum, logit) => sum + Math.exp(logit * inverseTemperature - best), 0))
  )
}

/** The row with its whole width out of reach. */
function withoutFull(row: LogitsRow): LogitsRow {
  row.full = () => {
    throw new Error('the whole row was read')
  }
  return row
}

const top = (...logSumExpAt: number[]): LogitsNeed => ({ kind: 'top', logSumExpAt })

describe('GgmlExecutor', () => {
  let executor: Executor
  beforeAll(async () => {
    const created = await createExecutor({ ...testExecutorOptions, modelPath }, () => undefined)
    executor = created.executor
  })
  afterAll(() => executor.close())

  async function rowsOf(prompts: readonly (readonly number[])[], needs: readonly LogitsNeed[]) {
    const { rows } = await executor.execute(planOf(prompts), needs)
    return rows as LogitsRow[]
  }

  const prompts = [[5, 6], [7], [8, 9, 10], [11], [12, 13]]
  const mixed = [top(1 / 0.7, 1), top(1), { kind: 'argmax' } as const, top(), top(1 / 1.3, 1)]

  it('has summed every row at the temperatures it was asked for, without anybody reading the row', async () => {
    const expected = (await rowsOf(prompts, mixed)).map((row) =>
      [1 / 0.7, 1, 1 / 1.3].map((t) => logSumExpOf(row, t)),
    )
    const rows = (await rowsOf(prompts, mixed)).map(withoutFull)
    expect(rows[0]!.logSumExp(1 / 0.7)).toBeCloseTo(expected[0]![0]!, 4)
    expect(rows[0]!.logSumExp(1)).toBeCloseTo(expected[0]![1]!, 4)
    expect(rows[1]!.logSumExp(1)).toBeCloseTo(expected[1]![1]!, 4)
    expect(rows[4]!.logSumExp(1 / 1.3)).toBeCloseTo(expected[4]![2]!, 4)
    expect(rows[4]!.logSumExp(1)).toBeCloseTo(expected[4]![1]!, 4)
  })

  it('sums at other temperatures from the whole row', async () => {
    const rows = await rowsOf(prompts, mixed)
    expect(rows[3]!.logSumExp(0.5)).toBeCloseTo(logSumExpOf(rows[3]!, 0.5), 6)
  })

  it('gives a row the same sum whether all share its temperature or none does', async () => {
    const shared = await rowsOf(
      prompts,
      prompts.map(() => top(1 / 0.7)),
    )
    const sums = shared.map((row) => row.logSumExp(1 / 0.7))
    const each = await rowsOf(prompts, [top(1 / 0.7), top(2), top(1 / 0.7), top(3), top(1 / 0.7)])
    for (const index of [0, 2, 4]) expect(each[index]!.logSumExp(1 / 0.7)).toBe(sums[index])
  })

  it('gives the same rows when it computes layer by layer', async () => {
    const grouped = await createExecutor(
      { ...testExecutorOptions, modelPath, numThreads: 1, numLayerGroups: 3 },
      () => undefined,
    )
    const whole = await createExecutor({ ...testExecutorOptions, modelPath, numThreads: 1 }, () => undefined)
    const needs = prompts.map((): LogitsNeed => ({ kind: 'full' }))
    const [some, all] = await Promise.all(
      [grouped, whole].map(async (each) => {
        const result = await each.executor.execute(planOf(prompts), needs)
        return { ...result, rows: result.rows.map((row) => Float32Array.from(row!.full())) }
      }),
    )
    expect(some!.rows).toEqual(all!.rows)
    expect(some!.kernels?.map(({ name }) => name)).toEqual(['layers 0-1', 'layers 2-3', 'output head'])
    expect(all!.kernels).toBeUndefined()
    await Promise.all([grouped, whole].map((each) => each.executor.close()))
  })

  it('shows the best tokens in order, with the logits of the row', async () => {
    for (const row of await rowsOf(prompts, mixed)) {
      const order = [...row.full().keys()].sort((a, b) => row.logitOf(b) - row.logitOf(a) || a - b)
      const shown = Array.from(row.topIds)
      expect(shown.length).toBeGreaterThan(0)
      expect(shown).toEqual(order.slice(0, shown.length))
      expect(Array.from(row.topLogits)).toEqual(shown.map((id) => row.logitOf(id)))
    }
  })
})
