/**
 * An executor without a model, for tests and for measuring everything around the kernels. It keeps, in every slot of
 * its pool, the token that a real one would have computed KV for, and derives the next token from what the slots say:
 * a mistake in anybody's block bookkeeping changes the output.
 */
import type { StepPlan, PlanEntry } from '../scheduler/step-plan.ts'
import { uniformAt } from '../core/random.ts'
import type { Executor, ExecutorModel, LogitsNeed, LogitsRow, StepResult } from './executor.ts'

export interface FakeExecutorOptions {
  readonly vocabSize: number
  readonly maxModelLen: number
  readonly blockSize: number
  readonly numBlocks: number
  /** Probability that the end token (the last of the vocabulary) comes next. */
  readonly endProbability?: number
  /** How long a step takes. */
  readonly stepMicros?: number
  /** A step with this token in its plan kills the process: for testing recovery. */
  readonly lethalToken?: number
}

export class FakeExecutor implements Executor {
  readonly model: ExecutorModel
  readonly #options: FakeExecutorOptions
  readonly #slots: Int32Array

  constructor(options: FakeExecutorOptions) {
    this.#options = options
    this.#slots = new Int32Array(options.numBlocks * options.blockSize).fill(-1)
    this.model = {
      vocabSize: options.vocabSize,
      maxModelLen: options.maxModelLen,
      blockSize: options.blockSize,
      numBlocks: options.numBlocks,
      kvBytesPerToken: 4,
      endTokenIds: [options.vocabSize - 1],
    }
  }

  async execute(plan: StepPlan, _needs: readonly LogitsNeed[]): Promise<StepResult> {
    const { lethalToken, stepMicros = 0 } = this.#options
    if (lethalToken !== undefined && plan.entries.some((entry) => entry.tokens.includes(lethalToken))) {
      process.kill(process.pid, 'SIGKILL')
    }
    for (const entry of plan.entries) this.#write(entry)
    const rows = plan.entries.map((entry) => (entry.samples ? this.#row(entry) : undefined))
    await (stepMicros > 0
      ? new Promise((resolve) => setTimeout(resolve, stepMicros / 1000))
      : Promise.resolve())
    return { rows, buildMicros: 0, computeMicros: stepMicros }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #slotOf(entry: PlanEntry, position: number): number {
    const { blockSize } = this.#options
    let left = position
    for (const { start, length } of entry.extents) {
      if (left < length * blockSize) return start * blockSize + left
      left -= length * blockSize
    }
    throw new Error(`position ${position} lies beyond the extents of ${entry.requestId}`)
  }

  #write(entry: PlanEntry): void {
    entry.tokens.forEach((token, offset) => {
      this.#slots[this.#slotOf(entry, entry.position + offset)] = token
    })
  }

  #row(entry: PlanEntry): LogitsRow {
    let hash = 17
    for (let position = 0; position < entry.position + entry.tokens.length; position++) {
      hash = (Math.imul(hash, 31) + (this.#slots[this.#slotOf(entry, position)] ?? -1)) | 0
    }
    return new FakeRow(hash, this.#options)
  }
}

class FakeRow implements LogitsRow {
  readonly vocabSize: number
  readonly topIds: readonly number[]
  readonly topLogits: readonly number[]
  readonly #logits: Float32Array

  constructor(hash: number, { vocabSize, endProbability = 0 }: FakeExecutorOptions) {
    this.vocabSize = vocabSize
    this.#logits = Float32Array.from({ length: vocabSize }, (_, id) => uniformAt(hash >>> 0, 1, id))
    this.#logits[vocabSize - 1] = uniformAt(hash >>> 0, 2, 0) < endProbability ? 2 : -1
    const order = Array.from(this.#logits.keys()).toSorted(
      (a, b) => (this.#logits[b] ?? 0) - (this.#logits[a] ?? 0) || a - b,
    )
    this.topIds = order
    this.topLogits = order.map((id) => this.#logits[id] ?? 0)
  }

  logSumExp(inverseTemperature: number): number {
    return Math.log(this.#logits.reduce((sum, logit) => sum + Math.exp(logit * inverseTemperature), 0))
  }

  logitOf(tokenId: number): number {
    return this.#logits[tokenId] ?? Number.NEGATIVE_INFINITY
  }

  full(): Float32Array {
    return this.#logits
  }
}
