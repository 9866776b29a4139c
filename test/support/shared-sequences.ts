import { toBlockId, toRequestId, toSequenceId } from '../../src/core/units.ts'
import { createExecutor } from '../../src/executor/create-executor.ts'
import type { Executor } from '../../src/executor/executor.ts'
import type { GgmlExecutorOptions } from '../../src/executor/executor-options.ts'
import type { Extent } from '../../src/kvcache/extent.ts'
import type { PlanEntry, StepPlan } from '../../src/scheduler/step-plan.ts'
import { testExecutorOptions } from './single-sequence.ts'

export const bundledModel = 'models/yardling/yardling-q8_0.gguf'

export const extent = (start: number, length: number): Extent => ({ start: toBlockId(start), length })

/** What one sequence does in a step, in short. */
export interface Turn {
  readonly tokens: readonly number[]
  readonly position: number
  readonly extents: readonly Extent[]
}

/** Plans written by hand, straight to an executor: for sequences whose extents a test wants to choose. */
export class HandPlanned {
  readonly executor: Executor
  #step = 0

  constructor(executor: Executor) {
    this.executor = executor
  }

  static async open(options: Partial<GgmlExecutorOptions> = {}): Promise<HandPlanned> {
    const { executor } = await createExecutor(
      { ...testExecutorOptions, modelPath: bundledModel, maxNumSeqs: 40, ...options },
      () => undefined,
    )
    return new HandPlanned(executor)
  }

  /** The whole rows of logits after each turn's last token. */
  async run(turns: readonly Turn[], copies: StepPlan['copies'] = []): Promise<Float32Array[]> {
    const entries = turns.map((turn, index): PlanEntry => ({
      ...turn,
      sequenceId: toSequenceId(index),
      requestId: toRequestId(`${index}`),
      samples: true,
    }))
    const numTokens = entries.reduce((sum, { tokens }) => sum + tokens.length, 0)
    const plan = { step: this.#step++, entries, numTokens, preempted: [], copies }
    const { rows } = await this.executor.execute(
      plan,
      entries.map(() => ({ kind: 'full' })),
    )
    return rows.map((row) => Float32Array.from(row!.full()))
  }

  close(): Promise<void> {
    return this.executor.close()
  }
}

export function largestDifference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let largest = 0
  a.forEach((row, index) => {
    row.forEach((value, id) => {
      const difference = Math.abs(value - b[index]![id]!)
      if (!(difference <= largest)) largest = difference
    })
  })
  return largest
}
