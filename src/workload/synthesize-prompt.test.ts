import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyWorkload } from '../../test/support/workloads.ts'
import { reusableShare, reusableTokens } from './reusable-tokens.ts'
import { continuePrompt, synthesizePrompts } from './synthesize-prompt.ts'
import type { Workload } from './workload.ts'

const range = { first: 100, count: 30_000 }

const promptsOf = (workload: Workload, seed = 1): number[][] => [
  ...synthesizePrompts(workload, { seed, range }),
]

function sharedLength(one: readonly number[], other: readonly number[]): number {
  let length = 0
  while (length < one.length && length < other.length && one[length] === other[length]) length += 1
  return length
}

describe('synthesised prompts', () => {
  it('have as many tokens as the trace says, all of them in the range', () => {
    fc.assert(
      fc.property(anyWorkload, (workload) => {
        for (const [index, prompt] of promptsOf(workload).entries()) {
          expect(prompt.length).toBe(workload.requests[index]!.numPromptTokens)
          expect(Math.min(...prompt)).toBeGreaterThanOrEqual(100)
          expect(Math.max(...prompt)).toBeLessThan(30_100)
        }
      }),
      { numRuns: 30 },
    )
  })

  it('share with earlier ones exactly what the blocks say', () => {
    fc.assert(
      fc.property(anyWorkload, fc.constantFrom(1, 16, 50), (workload, serverBlockSize) => {
        const prompts = promptsOf(workload)
        const expected = prompts.map((prompt, index) => {
          const shared = prompts.slice(0, index).map((earlier) => sharedLength(earlier, prompt))
          const usable = Math.min(Math.max(0, ...shared), prompt.length - 1)
          return usable - (usable % serverBlockSize)
        })
        // Two new blocks may begin with the same token by chance; blocks of a server hide that.
        const slack = serverBlockSize === 1 ? 1 : 0
        const counted = reusableTokens(workload, { serverBlockSize })
        for (const [index, tokens] of counted.entries()) {
          expect(Math.abs(tokens - expected[index]!)).toBeLessThanOrEqual(slack)
        }
      }),
      { numRuns: 40 },
    )
  })

  it('begin with the prompt of the turn before where they include its answer', () => {
    fc.assert(
      fc.property(anyWorkload, (workload) => {
        const prompts = promptsOf(workload)
        for (const [index, request] of workload.requests.entries()) {
          if (request.includesAnswer !== true) continue
          const before = workload.requests.findLastIndex(
            ({ program, turn }) => program === request.program && turn === request.turn - 1,
          )
          expect(prompts[index]!.slice(0, prompts[before]!.length)).toEqual(prompts[before])
        }
      }),
      { numRuns: 30 },
    )
  })

  it('are others for another seed, and tell ids apart beyond 32 bits and below 0', () => {
    const ids = [1, -1, 4_294_967_297, -4_294_967_295, 2 ** 52 + 1]
    const request = { arrival: 0, turn: 0, gap: 0, numOutputTokens: 1, numPromptTokens: 8 }
    const workload = {
      name: 'ids',
      blockSize: 8,
      provenance: [],
      requests: ids.map((id) => ({ ...request, blocks: [id] })),
    } as unknown as Workload
    const texts = [...promptsOf(workload), ...promptsOf(workload, 2)].map(String)
    expect(new Set(texts).size).toBe(10)
  })

  it('take in the answer that the server gave, and keep their length', () => {
    const synthesized = [1, 2, 3, 4, 5, 6, 7, 8]
    expect(continuePrompt(synthesized, [1, 2, 3], [70, 71])).toEqual([1, 2, 3, 70, 71, 6, 7, 8])
    expect(continuePrompt(synthesized, [1, 2, 3], [])).toEqual(synthesized)
    expect(continuePrompt([1, 2, 3], [9, 9, 9, 9], [])).toEqual([9, 9, 3])
  })
})

describe('reusable tokens', () => {
  const turn = { arrival: 0, tenant: 't', program: 'p', gapKind: undefined, serviceClass: 'default', gap: 0 }
  const workload = {
    name: 'two turns',
    blockSize: 10,
    provenance: [],
    requests: [
      { ...turn, turn: 0, numPromptTokens: 25, numOutputTokens: 9, blocks: [1, 2, 3] },
      {
        ...turn,
        turn: 1,
        numPromptTokens: 48,
        numOutputTokens: 4,
        blocks: [1, 2, 3, 4, 5],
        includesAnswer: true,
      },
    ],
  } as unknown as Workload

  it('count the answers of the server when they are sent back', () => {
    expect(reusableTokens(workload, { serverBlockSize: 1 })).toEqual([0, 25])
    expect(reusableTokens(workload, { serverBlockSize: 1, history: 'actual' })).toEqual([0, 33])
    expect(reusableTokens(workload, { serverBlockSize: 16, history: 'actual' })).toEqual([0, 32])
    expect(reusableShare(workload, { serverBlockSize: 1 })).toBe(25 / 73)
  })

  it('leave one token to compute', () => {
    const again = { ...workload, requests: [workload.requests[0]!, workload.requests[0]!] }
    expect(reusableTokens(again, { serverBlockSize: 1 })).toEqual([0, 24])
    expect(reusableTokens(again, { serverBlockSize: 8 })).toEqual([0, 24])
  })

  it('are none where there are no requests', () => {
    expect(reusableShare({ ...workload, requests: [] }, { serverBlockSize: 1 })).toBe(0)
  })
})
