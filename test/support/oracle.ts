/**
 * The reference: libllama on the same GGUF file. What our own engine computes is compared with it, token by token or
 * logit by logit. Nothing here is batched across sequences, so results depend on nothing but the tokens.
 */
import { openLibraries } from '../../src/ggml/library.ts'
import { LlamaBatch, LlamaContext, type LlamaKvType } from '../../src/ggml/llama-context.ts'
import { LlamaModel } from '../../src/ggml/llama.ts'

export interface OracleOptions {
  /** Default 1: right for tiny models, and results do not depend on it. */
  readonly threads?: number
  readonly flashAttention?: boolean
  readonly kvType?: LlamaKvType
  /** Longest sequence in tokens; default 2048. */
  readonly maxLength?: number
  /** Convert weights to the CPU's own layouts; default true, as libllama does. */
  readonly repack?: boolean
  /** Layers on an accelerator, where its libraries are open; default 0, all on the CPU. */
  readonly gpuLayers?: number
  /** Tokens per forward pass while reading a prompt; default 512. */
  readonly chunkSize?: number
}

export interface GreedyResult {
  readonly tokens: number[]
  /** The row that each token was chosen from. */
  readonly logits: Float32Array[]
  /** Best logit minus second best, per token: where it is tiny, another choice is no error. */
  readonly margins: number[]
}

export class Oracle {
  readonly vocabSize: number
  readonly #model: LlamaModel
  readonly #context: LlamaContext
  readonly #batch: LlamaBatch
  /** Tokens whose KV the context holds, all of sequence 0. */
  #length = 0

  constructor(path: string, options: OracleOptions = {}) {
    const { maxLength = 2048, chunkSize = 512, kvType = 'f16' } = options
    this.#model = new LlamaModel(openLibraries({ device: 'auto' }), path, {
      repack: options.repack ?? true,
      gpuLayers: options.gpuLayers ?? 0,
    })
    this.#context = new LlamaContext(this.#model, {
      numCtx: maxLength,
      numBatch: chunkSize,
      numMicroBatch: chunkSize,
      numSeqMax: 1,
      numThreads: options.threads ?? 1,
      kvTypeK: kvType,
      kvTypeV: kvType,
      flashAttention: options.flashAttention ?? true,
      kvUnified: true,
    })
    this.#batch = new LlamaBatch(chunkSize)
    this.vocabSize = this.#model.vocab.size
  }

  /** Token ids of a text, special tokens read as such; nothing is added. */
  tokenize(text: string): number[] {
    return [...this.#model.vocab.tokenize(Buffer.from(text), false, true)]
  }

  /** Row i: the logits after `tokens[0..i]`, that is, the prediction of token i + 1. */
  teacherForcedLogits(tokens: readonly number[]): Float32Array[] {
    this.#restart()
    const rows: Float32Array[] = []
    for (let start = 0; start < tokens.length; start += this.#batch.capacity) {
      const chunk = tokens.slice(start, start + this.#batch.capacity)
      this.#decode(chunk, () => true)
      for (let index = 0; index < chunk.length; index++) rows.push(this.#context.logits(index))
    }
    return rows
  }

  /** The logits after the last token only. */
  logitsAfter(tokens: readonly number[]): Float32Array {
    this.#restart()
    return this.#continue(tokens)
  }

  /** `count` tokens after the prompt, each the one with the highest logit (ties to the lower id). Ignores end tokens. */
  greedy(promptTokens: readonly number[], count: number): GreedyResult {
    this.#restart()
    const result: GreedyResult = { tokens: [], logits: [], margins: [] }
    let logits = this.#continue(promptTokens)
    while (result.tokens.length < count) {
      const { token, margin } = bestOf(logits)
      result.tokens.push(token)
      result.logits.push(logits)
      result.margins.push(margin)
      if (result.tokens.length < count) logits = this.#continue([token])
    }
    return result
  }

  close(): void {
    this.#context.close()
    this.#model.close()
  }

  #restart(): void {
    this.#context.clear()
    this.#length = 0
  }

  /** Appends tokens to the sequence; returns the logits after the last one. */
  #continue(tokens: readonly number[]): Float32Array {
    for (let start = 0; start < tokens.length; start += this.#batch.capacity) {
      const chunk = tokens.slice(start, start + this.#batch.capacity)
      this.#decode(chunk, (index) => start + index === tokens.length - 1)
    }
    return this.#context.logits(this.#batch.length - 1)
  }

  #decode(tokens: readonly number[], wantsLogits: (index: number) => boolean): void {
    this.#batch.clear()
    for (const [index, token] of tokens.entries()) {
      this.#batch.add(token, this.#length + index, 0, wantsLogits(index))
    }
    if (!this.#context.decode(this.#batch))
      throw new Error(`The oracle has no room for ${this.#length} tokens and more`)
    this.#length += tokens.length
  }
}

function bestOf(logits: Float32Array): { token: number; margin: number } {
  let token = 0
  let best = -Infinity
  let second = -Infinity
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] ?? -Infinity
    if (logit > best) {
      second = best
      best = logit
      token = id
    } else if (logit > second) {
      second = logit
    }
  }
  return { token, margin: best - second }
}
