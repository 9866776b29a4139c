import { toBlockId, toRequestId, toSequenceId } from '../../src/core/units.ts'
import { createExecutor } from '../../src/executor/create-executor.ts'
import type { Executor, LogitsRow } from '../../src/executor/executor.ts'
import type { GgmlExecutorOptions } from '../../src/executor/executor-options.ts'

export const testExecutorOptions: Omit<GgmlExecutorOptions, 'modelPath'> = {
  kind: 'ggml',
  device: 'cpu',
  numThreads: 2,
  maxModelLen: undefined,
  kvCacheTokens: 4096,
  blockSize: 32,
  cacheTypeK: 'f16',
  cacheTypeV: 'f16',
  batchInvariant: false,
  maxNumSeqs: 16,
  maxNumBatchedTokens: 512,
}

/** One sequence straight through the executor, without scheduler or sampling: for comparing logits. */
export class SingleSequence {
  readonly #executor: Executor
  #length = 0
  #step = 0

  constructor(executor: Executor) {
    this.#executor = executor
  }

  static async open(modelPath: string, options: Partial<GgmlExecutorOptions> = {}): Promise<SingleSequence> {
    const { executor } = await createExecutor(
      { ...testExecutorOptions, ...options, modelPath },
      () => undefined,
    )
    return new SingleSequence(executor)
  }

  restart(): void {
    this.#length = 0
  }

  /** Appends tokens; the row after the last. Valid until the next call. */
  async append(tokens: readonly number[]): Promise<LogitsRow> {
    const { model } = this.#executor
    const entry = {
      sequenceId: toSequenceId(1),
      requestId: toRequestId('single'),
      tokens,
      position: this.#length,
      extents: [{ start: toBlockId(0), length: model.numBlocks }],
      samples: true,
    }
    const plan = { step: this.#step++, entries: [entry], numTokens: tokens.length, preempted: [], copies: [] }
    const { rows } = await this.#executor.execute(plan, [{ kind: 'argmax' }])
    this.#length += tokens.length
    return rows[0] as LogitsRow
  }

  close(): Promise<void> {
    return this.#executor.close()
  }
}
