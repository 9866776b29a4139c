import type { Extent } from '../kvcache/extent.ts'
import type { StepPlan } from '../scheduler/step-plan.ts'
import type { PoolPlace } from './pool-blocks.ts'

/**
 * Runs one plan: tokens in, one row of logits out for each entry that samples. It knows nothing of requests,
 * queues or sampling rules. Implementations: ggml graph, libllama, fake.
 */
export interface Executor {
  readonly model: ExecutorModel
  /** The KV pool behind the block numbers. */
  readonly blocks: BlockMemory
  /**
   * Does the plan's copies, then computes its KV and logits. `needs[i]` says how much of entry i's row the sampler
   * will look at. The rows of the result are valid until the next call.
   */
  execute(plan: StepPlan, needs: readonly LogitsNeed[]): Promise<StepResult>
  close(): Promise<void>
}

/** Whole blocks of KV, in and out of memory of the host: one behind the other, each with all its layers. */
export interface BlockMemory {
  readonly bytesPerBlock: number
  /** From which another thread makes the same memory; undefined where only this one has it. */
  readonly place?: PoolPlace
  /** Copies blocks, which nobody may write to meanwhile, to the beginning of `bytes`. */
  read(extents: readonly Extent[], bytes: Uint8Array): Promise<void>
  /** Copies blocks from `bytes` to the extents, which no step may use before. */
  write(extents: readonly Extent[], bytes: Uint8Array): Promise<void>
}

/** What an engine must know about the model it runs. */
export interface ExecutorModel {
  readonly vocabSize: number
  /** Longest sequence in tokens (prompt and output together). */
  readonly maxModelLen: number
  readonly blockSize: number
  readonly numBlocks: number
  readonly kvBytesPerToken: number
  readonly endTokenIds: readonly number[]
  /** Elements of a hidden state. */
  readonly embeddingLength: number
}

/** `states`: hidden states in place of logits, of these tokens of the entry. `none`: the entry does not sample. `argmax`: best token only. `top`: the best few and the row's mass. */
export type LogitsNeed =
  | { readonly kind: 'none' }
  | { readonly kind: 'argmax' }
  /** `logSumExpAt`: the inverse temperatures (finite, > 0; two at most) at which `logSumExp` is cheap. */
  | { readonly kind: 'top'; readonly logSumExpAt: readonly number[] }
  | { readonly kind: 'full' }
  | { readonly kind: 'states'; readonly of: 'all' | 'first' | 'last' }

/** One row of logits, seen through what was prepared for it; anything else is fetched on demand. */
export interface LogitsRow {
  readonly vocabSize: number
  /** The best tokens in descending order of logit, ties to the lower id. At least one. */
  readonly topIds: ArrayLike<number>
  readonly topLogits: ArrayLike<number>
  /** log of the sum over the vocabulary of exp(logit * inverseTemperature). Reads the whole row where the need did not name it. */
  logSumExp(inverseTemperature: number): number
  logitOf(tokenId: number): number
  /** The whole row, `vocabSize` wide: costly, for the rare request that needs it. */
  full(): Float32Array
}

/** Kernels of some layers, or of what comes behind them. */
export interface KernelGroup {
  readonly name: string
  readonly micros: number
}

export interface StepResult {
  /** One per plan entry; undefined where the entry does not sample, or has states. */
  readonly rows: readonly (LogitsRow | undefined)[]
  /**
   * One per plan entry: the normalised states of the last layer that were asked for, one behind the other. Undefined:
   * no entry asked.
   */
  readonly states?: readonly (Float32Array | undefined)[] | undefined
  /** Host time spent preparing the step (building or patching the graph, filling inputs), in microseconds. */
  readonly buildMicros: number
  /** Time in kernels, in microseconds. */
  readonly computeMicros: number
  /** That time by groups of layers, in their order, where they are timed. */
  readonly kernels?: readonly KernelGroup[]
}
