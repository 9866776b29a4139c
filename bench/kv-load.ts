/** Decode steps written by hand, for benchmarks that choose where KV lies. */
import { RandomStream } from '../src/core/random.ts'
import { toBlockId, toRequestId, toSequenceId } from '../src/core/units.ts'
import { createExecutor } from '../src/executor/create-executor.ts'
import type { Executor } from '../src/executor/executor.ts'
import type { GgmlExecutorOptions } from '../src/executor/executor-options.ts'
import type { Extent } from '../src/kvcache/extent.ts'
import type { PlanEntry } from '../src/scheduler/step-plan.ts'

export const blockSize = 32

export interface Sequence {
  readonly tokens: readonly number[]
  readonly position: number
  readonly extents: readonly Extent[]
}

export const blocksOf = (numTokens: number): number => Math.ceil(numTokens / blockSize)
export const extent = (start: number, length: number): Extent => ({ start: toBlockId(start), length })

export async function openExecutor(
  options: Partial<GgmlExecutorOptions> & { modelPath: string },
): Promise<Executor> {
  const { executor } = await createExecutor(
    {
      kind: 'ggml',
      device: 'cpu',
      numThreads: 1,
      maxModelLen: undefined,
      kvCacheTokens: 16_384,
      blockSize,
      cacheTypeK: 'f16',
      cacheTypeV: 'f16',
      batchInvariant: false,
      maxNumSeqs: 64,
      maxNumBatchedTokens: 512,
      ...options,
    },
    () => undefined,
  )
  return executor
}

/** Runs one step; its kernels' time in milliseconds. */
export async function runStep(executor: Executor, sequences: readonly Sequence[]): Promise<number> {
  const entries = sequences.map((sequence, index): PlanEntry => ({
    ...sequence,
    sequenceId: toSequenceId(index),
    requestId: toRequestId(`${index}`),
    samples: true,
  }))
  const numTokens = entries.reduce((sum, { tokens }) => sum + tokens.length, 0)
  const plan = { step: 0, entries, numTokens, preempted: [], copies: [] }
  const { computeMicros, buildMicros } = await executor.execute(
    plan,
    entries.map(() => ({ kind: 'argmax' })),
  )
  return (computeMicros + buildMicros) / 1000
}

/** Fills the blocks from 0 on with the KV of random tokens. */
export async function fillPrefix(executor: Executor, numTokens: number): Promise<void> {
  const random = new RandomStream(1)
  const extents = [extent(0, blocksOf(numTokens))]
  for (let position = 0; position < numTokens; position += 512) {
    const length = Math.min(512, numTokens - position)
    const tokens = Array.from({ length }, () => random.below(1000))
    await runStep(executor, [{ tokens, position, extents }])
  }
}
