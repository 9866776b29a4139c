import type { FakeExecutorOptions } from './fake-executor.ts'

/** How an engine computes: plain data, so that it can cross to the engine's process. */
export type ExecutorOptions = GgmlExecutorOptions | ({ readonly kind: 'fake' } & FakeExecutorOptions)

export interface GgmlExecutorOptions {
  readonly kind: 'ggml'
  readonly modelPath: string
  readonly device: 'auto' | 'cpu' | 'cuda' | 'vulkan' | 'metal'
  /** CPU threads of the kernels; undefined: one per core. */
  readonly numThreads: number | undefined
  /** Longest sequence in tokens; undefined: what the model was trained for, if the pool can hold it. */
  readonly maxModelLen: number | undefined
  /** Size of the KV pool in tokens; undefined: chosen from the model and a default share of memory. */
  readonly kvCacheTokens: number | undefined
  /** Tokens per block, a power of two. */
  readonly blockSize: number
  readonly cacheTypeK: CacheType
  readonly cacheTypeV: CacheType
  /** Rotate K and V before they are stored, for fewer bits; undefined: no. */
  readonly cacheRotate?: boolean
  /**
   * Whether sequences with the same leading KV attend to it together; undefined: `auto`, where it pays. Never if
   * `batchInvariant`, as it would change bits, nor on devices.
   */
  readonly sharedAttention?: SharedAttentionMode
  /** Whether chunks of prompts stack their queries where that pays; undefined: yes. Never where nobody may attend together. */
  readonly stackedChunks?: boolean
  /** Logits that do not depend on what else is in the step, where the kernels allow it. */
  readonly batchInvariant: boolean
  /** Compute in so many groups of layers, each timed, which costs a tenth of a millisecond each; undefined: at once. */
  readonly numLayerGroups?: number
  readonly maxNumSeqs: number
  readonly maxNumBatchedTokens: number
}

export type SharedAttentionMode = 'auto' | 'always' | 'never'

/** Types of the KV cache: about 2, 1.06 and 0.56 bytes an element. */
export type CacheType = 'f16' | 'q8_0' | 'q4_0'
