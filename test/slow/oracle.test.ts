/**
 * Our graphs against libllama on the same files: 20 prompts of random tokens, 100 greedy tokens each, teacher-forced
 * with libllama's choice, so that one near-tie does not make all that follows incomparable.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { RandomStream } from '../../src/core/random.ts'
import { makeModel } from '../../tools/make-model.ts'
import { Oracle } from '../support/oracle.ts'
import { SingleSequence } from '../support/single-sequence.ts'

const bundled = 'models/yardling/yardling-q8_0.gguf'
const folder = mkdtempSync(join(tmpdir(), 'switchyard-oracle-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/**
 * Largest difference of a logit that rounding explains, for logits of order 1 to 10. The kernels are the same, so most
 * rows are equal to the bit. What differs: a prompt's rows are padded to the kernels' tile of four, and for floats and
 * Q4_K a row within a tile is summed in another order than a row alone, which a quantised activation can amplify.
 */
const bounds: Record<string, number> = {
  F32: 0.01,
  F16: 0.01,
  BF16: 0.02,
  Q8_0: 0.01,
  Q4_0: 0.01,
  Q4_K: 0.2,
  Q6_K: 0.01,
}

interface Comparison {
  readonly largestDifference: number
  readonly mismatches: number
  readonly ties: number
}

/**
 * Where the queries of a prompt of fewer than 64 tokens are stacked, attention runs in the tiled kernel, which sums values
 * in F32; libllama's kernel for so few rows sums them in F16. The same amplification as above.
 */
const stackedBound = 0.2

interface Settings {
  readonly kvType?: 'f16' | 'q8_0'
  readonly stackedChunks?: boolean
}

async function compare(
  path: string,
  bound: number,
  { kvType = 'f16', stackedChunks = true }: Settings = {},
): Promise<Comparison> {
  const oracle = new Oracle(path, { kvType })
  const ours = await SingleSequence.open(path, { cacheTypeK: kvType, cacheTypeV: kvType, stackedChunks })
  const random = new RandomStream(11)
  let largestDifference = 0
  let mismatches = 0
  let ties = 0
  for (let prompt = 0; prompt < 20; prompt++) {
    const tokens = Array.from({ length: 5 + random.below(90) }, () => random.below(oracle.vocabSize - 8))
    const { tokens: expected, margins, logits } = oracle.greedy(tokens, 100)
    ours.restart()
    let row = await ours.append(tokens)
    for (const [index, token] of expected.entries()) {
      const reference = logits[index] as Float32Array
      const mine = row.full()
      for (let id = 0; id < mine.length; id++) {
        const difference = Math.abs((mine[id] as number) - (reference[id] as number))
        if (!(difference <= largestDifference)) largestDifference = difference
      }
      if (row.topIds[0] !== token) {
        if ((margins[index] as number) < bound) ties++
        else mismatches++
      }
      row = await ours.append([token])
    }
  }
  oracle.close()
  await ours.close()
  return { largestDifference, mismatches, ties }
}

describe.each(['llama', 'qwen2', 'qwen3'])(
  '%s with random weights computes what libllama computes',
  (arch) => {
    it.each(Object.entries(bounds))('in %s', async (type, bound) => {
      const out = join(folder, `${arch}-${type}.gguf`)
      makeModel({ out, arch, layers: 3, width: 256, heads: 4, kvHeads: 2, ffn: 512, type, seed: 3 })
      const result = await compare(out, bound, { stackedChunks: false })
      console.log(
        `${arch} ${type}: largest logit difference ${result.largestDifference.toExponential(2)}, ${result.ties} ties`,
      )
      expect(result.mismatches).toBe(0)
      expect(result.largestDifference).toBeLessThan(bound)
    })
  },
)

describe('short prompts with stacked queries compute what libllama computes', () => {
  it.each(Object.keys(bounds))('in %s', async (type) => {
    const out = join(folder, `stacked-${type}.gguf`)
    makeModel({ out, arch: 'qwen2', layers: 3, width: 256, heads: 4, kvHeads: 2, ffn: 512, type, seed: 3 })
    const result = await compare(out, stackedBound)
    console.log(`stacked ${type}: largest logit difference ${result.largestDifference.toExponential(2)}`)
    expect(result.mismatches).toBe(0)
    expect(result.largestDifference).toBeLessThan(stackedBound)
  })
})

describe('rope scaling computes what libllama computes', () => {
  it.each(['linear', 'yarn', 'llama3'] as const)('%s', async (ropeScaling) => {
    const out = join(folder, `rope-${ropeScaling}.gguf`)
    makeModel({
      out,
      arch: 'llama',
      layers: 2,
      width: 256,
      heads: 4,
      kvHeads: 2,
      ffn: 512,
      type: 'F16',
      ropeScaling,
      ropeFactor: 4,
    })
    const result = await compare(out, 0.01)
    console.log(`rope ${ropeScaling}: largest logit difference ${result.largestDifference.toExponential(2)}`)
    expect(result).toMatchObject({ mismatches: 0 })
    expect(result.largestDifference).toBeLessThan(0.01)
  })
})

describe('the bundled model computes what libllama computes', () => {
  it.each(['f16', 'q8_0'] as const)('with a KV cache of %s', async (kvType) => {
    const result = await compare(bundled, 0.3, { kvType })
    console.log(
      `bundled, KV ${kvType}: largest logit difference ${result.largestDifference.toExponential(2)}, ${result.ties} ties`,
    )
    expect(result.mismatches).toBe(0)
  })
})
