import { mkdtempSync, readFileSync, rmSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

import { ServingError } from '../src/core/errors.ts'
import { openLibraries } from '../src/ggml/library.ts'
import { LlamaBatch, LlamaContext } from '../src/ggml/llama-context.ts'
import { LlamaModel } from '../src/ggml/llama.ts'
import { openGguf } from '../src/model/gguf-reader.ts'
import { tensorTypeName } from '../src/model/gguf-types.ts'
import { makeModel, type ModelOptions } from './make-model.ts'

const dir = mkdtempSync(join(tmpdir(), 'make-model-'))
afterAll(() => rmSync(dir, { recursive: true }))

const libraries = openLibraries({ device: 'cpu' })

const tiny: ModelOptions = {
  out: join(dir, 'tiny.gguf'),
  arch: 'llama',
  layers: 2,
  width: 64,
  heads: 4,
  kvHeads: 2,
  ffn: 96,
  context: 256,
  type: 'Q8_0',
}

describe('a made model', () => {
  it.each<[string, Partial<ModelOptions>]>([
    ['llama', {}],
    ['llama with every bias and its own output', { biases: true, tied: false }],
    ['llama with heads wider than its width', { headDim: 32 }],
    ['llama with stretched positions', { ropeScaling: 'linear' }],
    ['llama with YaRN', { ropeScaling: 'yarn', ropeFactor: 2 }],
    ['llama with Llama 3’s factors', { ropeScaling: 'llama3', ropeFactor: 8 }],
    ['qwen2', { arch: 'qwen2', type: 'Q4_0' }],
    ['qwen2 with every bias', { arch: 'qwen2', biases: true, tied: false }],
    ['qwen3', { arch: 'qwen3', headDim: 32, type: 'F16' }],
    ['K-quants', { width: 256, ffn: 512, type: 'Q4_K', embeddingType: 'Q6_K' }],
  ])('runs in libllama with activations of a sane size: %s', (_, changes) => {
    const { path, hyperparameters } = makeModel({ ...tiny, ...changes })
    const logits = referenceLogits(path, [1, 5, 9, 2, 300, 7])
    expect(logits.length).toBe(hyperparameters.vocabSize)
    const deviation = Math.sqrt(logits.reduce((sum, logit) => sum + logit * logit, 0) / logits.length)
    expect(deviation).toBeGreaterThan(0.3)
    expect(deviation).toBeLessThan(3)
  })

  it('has the same bytes for the same seed, and others for another', () => {
    const bytesOf = (seed: number) => readFileSync(makeModel({ ...tiny, seed }).path)
    const first = bytesOf(7)
    expect(bytesOf(7).equals(first)).toBe(true)
    expect(bytesOf(8).equals(first)).toBe(false)
  })

  it('has the tokenizer and chat template of the bundled model', () => {
    const { path } = makeModel(tiny)
    const model = new LlamaModel(libraries, path, { vocabOnly: true })
    expect(model.chatTemplate).toContain('message')
    expect(model.vocab.tokenize(Buffer.from('hello there'), false, false).length).toBeGreaterThan(1)
    model.close()
  })

  it('may have more tokens than its tokenizer, all unused', () => {
    const { path, hyperparameters } = makeModel({ ...tiny, padVocab: 2100 })
    expect(hyperparameters.vocabSize).toBe(2100)
    const model = new LlamaModel(libraries, path)
    expect(model.vocab.size).toBe(2100)
    model.close()
    const gguf = openGguf(path)
    expect(gguf.getStrings('tokenizer.ggml.tokens').at(-1)).toBe('[PAD2099]')
    expect(gguf.getNumbers('tokenizer.ggml.token_type').at(-1)).toBe(5)
    gguf.close()
  })

  it('has norms and biases in F32 and matrices in the types asked for', () => {
    const spec = makeModel({ ...tiny, type: 'Q4_0', embeddingType: 'F16', outputType: 'Q8_0', tied: false })
    const typeOf = (name: string) => tensorTypeName(spec.tensors.get(name)?.type ?? -1)
    expect(typeOf('token_embd.weight')).toBe('F16')
    expect(typeOf('output.weight')).toBe('Q8_0')
    expect(typeOf('blk.1.ffn_down.weight')).toBe('Q4_0')
    expect(typeOf('blk.1.ffn_norm.weight')).toBe('F32')
  })

  it('falls back as llama.cpp does where rows do not fit a type, and says so', () => {
    const notes: string[] = []
    const spec = makeModel({ ...tiny, type: 'Q4_K', ffn: 100, onNote: (note) => notes.push(note) })
    expect(tensorTypeName(spec.tensors.get('blk.0.attn_q.weight')?.type ?? -1)).toBe('Q5_0')
    expect(tensorTypeName(spec.tensors.get('blk.0.ffn_down.weight')?.type ?? -1)).toBe('F16')
    expect(notes).toEqual([
      'rows of 64 do not fit Q4_K: those matrices become Q5_0',
      'rows of 100 do not fit Q4_K: those matrices become F16',
    ])
  })
})

describe('what cannot be made is refused', () => {
  it.each<[Partial<ModelOptions>, string]>([
    [{ arch: 'mamba' }, 'no architecture "mamba"; there are llama, qwen2, qwen3'],
    [{ type: 'Q3_K' }, 'cannot write type "Q3_K"'],
    [{ heads: 3 }, 'heads of 21.333333333333332 elements cannot be'],
    [{ kvHeads: 3 }, '4 heads cannot share 3 KV heads evenly'],
    [{ arch: 'qwen2', headDim: 32 }, 'qwen2 needs --head-dim times --heads to be --width'],
    [{ padVocab: 100 }, 'has 2048 tokens already, more than 100'],
  ])('%o', (changes, message) => {
    expect(() => makeModel({ ...tiny, ...changes })).toThrow(ServingError)
    expect(() => makeModel({ ...tiny, ...changes })).toThrow(message)
  })

  it('and leaves nothing behind', () => {
    const out = join(dir, 'refused.gguf')
    expect(() => makeModel({ ...tiny, out, type: 'Q3_K' })).toThrow(ServingError)
    expect(readdirSync(dir).filter((name) => name.startsWith('refused'))).toEqual([])
  })
})

/** The logits after the last token. */
function referenceLogits(path: string, tokens: readonly number[]): Float32Array {
  const model = new LlamaModel(libraries, path)
  const context = new LlamaContext(model, {
    numCtx: 64,
    numBatch: 64,
    numMicroBatch: 64,
    numSeqMax: 1,
    numThreads: 1,
    kvTypeK: 'f16',
    kvTypeV: 'f16',
    flashAttention: true,
    kvUnified: true,
  })
  const batch = new LlamaBatch(tokens.length)
  const last = tokens
    .map((token, position) => batch.add(token, position, 0, position === tokens.length - 1))
    .at(-1)
  expect(context.decode(batch)).toBe(true)
  const logits = context.logits(last ?? 0)
  context.close()
  model.close()
  return logits
}
