import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { openLibraries } from './library.ts'
import { LlamaBatch, LlamaContext } from './llama-context.ts'
import { LlamaModel } from './llama.ts'

const path = fileURLToPath(new URL('../../models/yardling/yardling-q8_0.gguf', import.meta.url))
const options = {
  numCtx: 256,
  numBatch: 64,
  numMicroBatch: 64,
  numSeqMax: 2,
  numThreads: 1,
  kvTypeK: 'f16',
  kvTypeV: 'f16',
  flashAttention: true,
  kvUnified: true,
} as const

describe('libllama bindings', () => {
  let model: LlamaModel
  let context: LlamaContext
  const batch = new LlamaBatch(64)

  const logitsAfter = (tokens: readonly number[], sequence: number): Float32Array => {
    batch.clear()
    for (const [position, token] of tokens.entries()) {
      batch.add(token, position, sequence, position === tokens.length - 1)
    }
    expect(context.decode(batch)).toBe(true)
    return context.logits(batch.length - 1)
  }
  const best = (logits: Float32Array): number => logits.indexOf(Math.max(...logits))

  beforeAll(() => {
    model = new LlamaModel(openLibraries({ device: 'auto' }), path)
    context = new LlamaContext(model, options)
  })
  afterAll(() => {
    context.close()
    model.close()
  })

  it('reads the vocabulary and metadata', () => {
    expect(model.vocab.size).toBe(2048)
    expect(model.vocab.eos).toBe(2047)
    expect(model.vocab.addsBos).toBe(false)
    expect(model.contextLength).toBe(2048)
    expect(model.metadata('general.architecture')).toBe('llama')
    expect(model.metadata('tokenizer.ggml.tokens')).toBeUndefined()
    expect(model.metadata('no.such.key')).toBeUndefined()
  })

  it('answers a question greedily', () => {
    const prompt = '<|im_start|>user\nWhat is continuous batching?<|im_end|>\n<|im_start|>assistant\n'
    const tokens = [...model.vocab.tokenize(Buffer.from(prompt), false, true)]
    let logits = logitsAfter(tokens, 0)
    const answer: number[] = []
    while (!model.vocab.isEndOfGeneration(best(logits)) && answer.length < 50) {
      answer.push(best(logits))
      batch.clear()
      batch.add(answer.at(-1) ?? 0, tokens.length + answer.length - 1, 0, true)
      context.decode(batch)
      logits = context.logits(0)
    }
    const text = Buffer.concat(answer.map((token) => model.vocab.piece(token, false))).toString()
    expect(text).toBe(
      'Continuous batching lets new requests join and finished ones leave the batch at every step.',
    )
  })

  it('keeps sequences apart and forgets what it is told to', async () => {
    context.clear()
    const alone = best(logitsAfter([10, 20, 30], 0))
    context.clear()
    batch.clear()
    for (const [position, token] of [10, 20, 30].entries()) {
      batch.add(token, position, 0, position === 2)
      batch.add(token + 100, position, 1, position === 2)
    }
    expect(await context.decodeAsync(batch)).toBe(true)
    expect(best(context.logits(4))).toBe(alone)
    expect(context.removeSequence(1)).toBe(true)
    // Position 0 of sequence 1 is free again; libllama refuses a position that is taken.
    expect(logitsAfter([10, 20, 30], 1)).toHaveLength(2048)
  })

  it('says when the cache is full, and fails on nonsense', () => {
    context.clear()
    for (let start = 0; start < 256; start += 64) {
      batch.clear()
      for (let index = 0; index < 64; index++) batch.add(5, start + index, 0, false)
      expect(context.decode(batch)).toBe(true)
    }
    batch.clear()
    batch.add(5, 256, 0, true)
    expect(context.decode(batch)).toBe(false)
    batch.clear()
    batch.add(999_999, 0, 1, true)
    expect(() => context.decode(batch)).toThrow(expect.objectContaining({ code: 'ENGINE_FAILED' }))
  })

  it('fails politely on closed objects and tokens that do not exist', () => {
    const other = new LlamaModel(openLibraries({ device: 'auto' }), path, { vocabOnly: true })
    expect(() => other.vocab.piece(2048, false)).toThrow(/no token 2048/)
    other.close()
    other.close()
    expect(() => other.vocab.piece(1, false)).toThrow(/closed/)
    expect(() => other.handle).toThrow(/closed/)
  })
})
