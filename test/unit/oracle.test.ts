import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { Oracle } from '../support/oracle.ts'

const path = fileURLToPath(new URL('../../models/yardling/yardling-q8_0.gguf', import.meta.url))

describe('Oracle', () => {
  let oracle: Oracle
  let prompt: number[]

  beforeAll(() => {
    oracle = new Oracle(path, { chunkSize: 32 })
    prompt = oracle.tokenize('<|im_start|>user\nCount from 1 to 20.<|im_end|>\n<|im_start|>assistant\n')
  })
  afterAll(() => oracle.close())

  it('gives the same tokens greedily as by reading its own answer back', () => {
    const { tokens, margins } = oracle.greedy(prompt, 40)
    const rows = oracle.teacherForcedLogits([...prompt, ...tokens])
    expect(rows).toHaveLength(prompt.length + 40)
    for (const [index, token] of tokens.entries()) {
      const row = rows[prompt.length - 1 + index] ?? new Float32Array()
      expect(row.indexOf(Math.max(...row))).toBe(token)
      const [best = 0, second = 0] = row.toSorted((a, b) => b - a)
      expect(margins[index]).toBeCloseTo(best - second, 1)
    }
  })

  it('starts every question anew', () => {
    const first = oracle.greedy(prompt, 10)
    oracle.logitsAfter([1, 2, 3])
    expect(oracle.greedy(prompt, 10)).toEqual(first)
  })

  it('moves its logits only a little with another cache type or attention kernel', () => {
    const reference = oracle.logitsAfter(prompt)
    for (const options of [{ kvType: 'q8_0' }, { flashAttention: false }, { repack: false }] as const) {
      const other = new Oracle(path, options)
      const differences = other.logitsAfter(prompt).map((logit, id) => Math.abs(logit - (reference[id] ?? 0)))
      other.close()
      expect(Math.max(...differences)).toBeLessThan(0.5)
    }
  })
})
