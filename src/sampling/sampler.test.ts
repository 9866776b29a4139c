import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RandomStream, uniformAt } from '../core/random.ts'
import { greedySampling, type SamplingParams } from '../core/sampling-params.ts'
import { toTokenMask } from '../grammar/token-mask.ts'
import { rowOf } from '../../test/support/logits-row.ts'
import { referenceToken } from '../../test/support/reference-sampling.ts'
import { createSampler } from './sampler.ts'

const drawing: SamplingParams = { ...greedySampling, temperature: 1 }

/** Rows with what breaks shortcuts: ties, zeros of both signs, impossible tokens, spikes, and plain noise. */
const logitArbitrary = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -3, max: 3 }) },
  { weight: 4, arbitrary: fc.float({ min: -20, max: 20, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(-0, 0, 9_000, -9_000, -Infinity) },
)

const smallRow = fc
  .array(logitArbitrary, { minLength: 1, maxLength: 60 })
  .filter((logits) => logits.some((logit) => Number.isFinite(logit)))

/** Wide rows spread their tokens over many buckets of the descending order. */
const wideRow = fc
  .record({
    seed: fc.nat(),
    length: fc.integer({ min: 200, max: 1500 }),
    spread: fc.constantFrom(0, 0.01, 1, 8, 100),
  })
  .map(({ seed, length, spread }) => {
    const stream = new RandomStream(seed)
    return Array.from({ length }, () => (stream.next() + stream.next() + stream.next() - 1.5) * spread)
  })

function paramsArbitrary(vocabSize: number): fc.Arbitrary<SamplingParams> {
  const tokenId = fc.integer({ min: 0, max: vocabSize + 2 })
  return fc.record({
    temperature: fc.oneof(
      fc.constantFrom(0, 1, 0.7, 0.01, 100),
      fc.double({ min: 0.05, max: 3, noNaN: true }),
    ),
    topK: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: vocabSize + 1 })),
    topP: fc.oneof(fc.constantFrom(1, 0.95, 0), fc.double({ min: 0, max: 1, noNaN: true })),
    minP: fc.oneof(fc.constant(0), fc.constant(1), fc.double({ min: 0, max: 0.3, noNaN: true })),
    presencePenalty: fc.oneof(fc.constantFrom(0, 1, -1), fc.double({ min: -2, max: 2, noNaN: true })),
    frequencyPenalty: fc.oneof(fc.constantFrom(0, 1), fc.double({ min: -2, max: 2, noNaN: true })),
    repetitionPenalty: fc.oneof(fc.constantFrom(1, 2, 0.5), fc.double({ min: 0.5, max: 2, noNaN: true })),
    logitBias: fc
      .array(
        fc.tuple(
          tokenId,
          fc.oneof(fc.constantFrom(-100, 100, 1, 2, -1), fc.double({ min: -3, max: 3, noNaN: true })),
        ),
        {
          maxLength: 4,
        },
      )
      .map((entries) => new Map(entries)),
    seed: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    topLogprobs: fc.constant(undefined),
  })
}

const caseArbitrary = fc
  .oneof({ weight: 6, arbitrary: smallRow }, { weight: 1, arbitrary: wideRow })
  .chain((logits) => {
    const tokens = fc.array(fc.nat({ max: logits.length - 1 }), { maxLength: 12 })
    return fc.record({
      logits: fc.constant(logits),
      numTop: fc.integer({ min: 1, max: Math.min(logits.length, 80) }),
      params: paramsArbitrary(logits.length),
      promptTokens: tokens,
      outputTokens: tokens,
    })
  })

describe('sampling from a row', () => {
  it('chooses the token that the rules over the whole row choose, however little is shown', () => {
    fc.assert(
      fc.property(caseArbitrary, ({ logits, numTop, params, promptTokens, outputTokens }) => {
        const row = rowOf(logits, numTop)
        const expected = referenceToken(row, params, promptTokens, outputTokens)
        expect(createSampler(params, promptTokens, outputTokens).sample(row).tokenId).toBe(expected)
      }),
      { numRuns: 6000 },
    )
  })

  it('chooses under a mask what the rules choose when the vocabulary has nothing else', () => {
    fc.assert(
      fc.property(
        caseArbitrary,
        fc.nat(),
        fc.constantFrom(0.02, 0.3, 0.9, 1),
        fc.boolean(),
        (given, seed, share, hasLists) => {
          const { logits, numTop, params, promptTokens, outputTokens } = given
          const isAllowed = (id: number) => uniformAt(seed, 0, id) < share && Number.isFinite(logits[id])
          const bits = new Uint32Array(Math.ceil(logits.length / 32))
          for (const id of logits.keys()) if (isAllowed(id)) bits[id >>> 5]! |= 1 << (id & 31)
          const listed = toTokenMask(bits, logits.length)
          const mask = hasLists ? listed : { ...listed, allowed: undefined, denied: undefined }
          fc.pre(listed.count > 1)
          const row = rowOf(logits, numTop)
          const sampler = createSampler(params, promptTokens, outputTokens)
          const expected = referenceToken(row, params, promptTokens, outputTokens, mask)
          expect(sampler.sample(row, mask).tokenId).toBe(expected)
          const wide = { ...mask, allowed: undefined }
          expect(createSampler(params, promptTokens, outputTokens).sample(row, wide).tokenId).toBe(expected)
        },
      ),
      { numRuns: 4000 },
    )
  })

  it('goes on after an interruption as if there had been none', () => {
    fc.assert(
      fc.property(caseArbitrary, ({ logits, numTop, params, promptTokens }) => {
        const row = rowOf(logits, numTop)
        const uninterrupted = createSampler(params, promptTokens, [])
        const tokens: number[] = []
        for (let step = 0; step < 5; step += 1) {
          const { tokenId } = createSampler(params, promptTokens, tokens).sample(row)
          expect(uninterrupted.sample(row).tokenId).toBe(tokenId)
          tokens.push(tokenId)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('draws each token as often as the softmax says', () => {
    const logits = Array.from({ length: 40 }, (_, id) => 3 - 0.3 * id)
    const row = rowOf(logits, 8)
    const weights = logits.map((logit) => Math.exp(logit / 0.8))
    const total = weights.reduce((a, b) => a + b)
    const counts = new Map<number, number>()
    const numDraws = 20_000
    for (let seed = 0; seed < numDraws; seed += 1) {
      const { tokenId } = createSampler({ ...drawing, temperature: 0.8, seed }, [], []).sample(row)
      counts.set(tokenId, (counts.get(tokenId) ?? 0) + 1)
    }
    for (const [id, weight] of weights.entries()) {
      const probability = weight / total
      const deviation = Math.sqrt(numDraws * probability * (1 - probability))
      expect(Math.abs((counts.get(id) ?? 0) - numDraws * probability)).toBeLessThan(5 * deviation + 3)
    }
  })
})

describe('what the rules keep', () => {
  const probabilities = [0.5, 0.25, 0.125, 0.0625, 0.0625]
  const row = rowOf(probabilities.map(Math.log), 5)

  function support(params: Partial<SamplingParams>): number[] {
    const ids = new Set<number>()
    for (let seed = 0; seed < 500; seed += 1) {
      ids.add(createSampler({ ...drawing, ...params, seed }, [], []).sample(row).tokenId)
    }
    return [...ids].sort((a, b) => a - b)
  }

  it('is everything without limits', () => expect(support({})).toEqual([0, 1, 2, 3, 4]))
  it('is the best k with top-k, ties to the lower id', () =>
    expect(support({ topK: 4 })).toEqual([0, 1, 2, 3]))
  it('is the smallest set that reaches top-p', () => expect(support({ topP: 0.7 })).toEqual([0, 1]))
  it('is one token with top-p 0', () => expect(support({ topP: 0 })).toEqual([0]))
  it('is what has min-p times the best probability', () => expect(support({ minP: 0.2 })).toEqual([0, 1, 2]))
  it('measures top-p within what top-k kept', () => expect(support({ topK: 2, topP: 0.6 })).toEqual([0]))
})

describe('penalties and biases', () => {
  const greedyChoice = (
    logits: number[],
    params: Partial<SamplingParams>,
    prompt: number[],
    output: number[],
  ) =>
    createSampler({ ...greedySampling, ...params }, prompt, output).sample(rowOf(logits, logits.length))
      .tokenId

  it('takes the presence penalty once and the frequency penalty for each occurrence in the output', () => {
    expect(greedyChoice([3, 2.2], { presencePenalty: 0.7 }, [], [0, 0])).toBe(0)
    expect(greedyChoice([3, 2.2], { presencePenalty: 0.9 }, [], [0, 0])).toBe(1)
    expect(greedyChoice([3, 2.2], { frequencyPenalty: 0.3 }, [], [0, 0])).toBe(0)
    expect(greedyChoice([3, 2.2], { frequencyPenalty: 0.3 }, [], [0, 0, 0])).toBe(1)
  })

  it('leaves the prompt out of presence and frequency', () => {
    expect(greedyChoice([3, 2.9], { presencePenalty: 2, frequencyPenalty: 2 }, [0, 0], [])).toBe(0)
  })

  it('divides positive and multiplies negative logits of seen tokens by the repetition penalty', () => {
    expect(greedyChoice([3, 2], { repetitionPenalty: 1.4 }, [0], [])).toBe(0)
    expect(greedyChoice([3, 2], { repetitionPenalty: 1.6 }, [0], [])).toBe(1)
    expect(greedyChoice([-2, -3], { repetitionPenalty: 1.4 }, [], [0])).toBe(0)
    expect(greedyChoice([-2, -3], { repetitionPenalty: 1.6 }, [], [0])).toBe(1)
  })

  it('counts the tokens it chose itself', () => {
    const sampler = createSampler({ ...greedySampling, presencePenalty: 1.5 }, [], [])
    const row = rowOf([3, 2, 1], 3)
    expect([sampler.sample(row).tokenId, sampler.sample(row).tokenId]).toEqual([0, 1])
  })

  it('lifts a biased token from outside the shown ones and ignores ids that do not exist', () => {
    const logitBias = new Map([
      [5, 10],
      [9_999, 100],
      [-1, 100],
    ])
    const row = rowOf([5, 4, 3, 2, 1, 0], 2)
    expect(createSampler({ ...greedySampling, logitBias }, [], []).sample(row).tokenId).toBe(5)
    expect(row.numFullReads).toBe(0)
  })
})

describe('how much of the row is read', () => {
  const flat = rowOf(
    Array.from({ length: 500 }, (_, id) => -id / 1000),
    64,
  )
  const peaked = rowOf(
    Array.from({ length: 500 }, (_, id) => -id),
    64,
  )

  function fullReads(row: typeof flat, params: SamplingParams, outputTokens: number[] = []): number {
    const before = row.numFullReads
    for (let seed = 0; seed < 200; seed += 1) createSampler({ ...params, seed }, [], outputTokens).sample(row)
    return row.numFullReads - before
  }

  it('is the shown tokens for greedy, with lowering penalties too', () => {
    expect(fullReads(flat, greedySampling)).toBe(0)
    expect(
      fullReads(flat, { ...greedySampling, repetitionPenalty: 1.3, presencePenalty: 1 }, [0, 1, 2, 3]),
    ).toBe(0)
  })

  it('is the shown tokens when top-k is within them', () => {
    expect(fullReads(flat, { ...drawing, topK: 64 })).toBe(0)
    expect(fullReads(flat, { ...drawing, topK: 40, topP: 0.9, minP: 0.01 })).toBe(0)
  })

  it('is the shown tokens when min-p ends within them', () => {
    expect(fullReads(flat, { ...drawing, minP: 0.99 })).toBe(0)
  })

  it('is the shown tokens when they hold nearly all mass, whatever the rules', () => {
    expect(fullReads(peaked, { ...drawing, topP: 0.95 })).toBe(0)
    expect(fullReads(peaked, drawing)).toBe(0)
    expect(fullReads(peaked, { ...drawing, topK: 200 })).toBe(0)
    expect(fullReads(peaked, { ...drawing, minP: 1e-20 })).toBe(0)
  })

  it('is all of it when the draw falls beyond the shown tokens', () => {
    expect(fullReads(flat, drawing)).toBeGreaterThan(100)
  })
})

describe('the mass of an adjusted row', () => {
  it('is precise when adjustments take away almost all that the model gave', () => {
    const logits = [20, ...Array.from({ length: 9 }, () => 0)]
    const row = rowOf(logits, 2)
    const counts = Array.from({ length: 10 }, () => 0)
    for (let seed = 0; seed < 4000; seed += 1) {
      const params = { ...drawing, seed, logitBias: new Map([[0, -100]]) }
      counts[createSampler(params, [], []).sample(row).tokenId]! += 1
    }
    expect(counts[0]).toBe(0)
    for (const count of counts.slice(1)) expect(Math.abs(count - 4000 / 9)).toBeLessThan(110)
  })
})

describe('log-probabilities', () => {
  const logits = [1, 4, 2, 4, -1]
  const logSum = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0))

  it('are those of the model before temperature, penalties and bias', () => {
    const params = { ...greedySampling, logitBias: new Map([[2, 50]]), temperature: 0.5, topLogprobs: 2 }
    const { tokenId, logprobs } = createSampler(params, [], []).sample(rowOf(logits, 3))
    expect(tokenId).toBe(2)
    expect(logprobs!.logprob).toBeCloseTo(2 - logSum, 5)
    expect(logprobs!.top.map((entry) => entry.tokenId)).toEqual([1, 3])
    expect(logprobs!.top[0]!.logprob).toBeCloseTo(4 - logSum, 5)
  })

  it('reach beyond the shown tokens when more are asked for, and end with the vocabulary', () => {
    const row = rowOf(logits, 1)
    const { logprobs } = createSampler({ ...greedySampling, topLogprobs: 20 }, [], []).sample(row)
    expect(logprobs!.top.map((entry) => entry.tokenId)).toEqual([1, 3, 2, 0, 4])
  })

  it('hold the chosen token alone when no alternatives are asked for', () => {
    const { logprobs } = createSampler({ ...greedySampling, topLogprobs: 0 }, [], []).sample(rowOf(logits, 3))
    expect(logprobs!.top).toEqual([])
    expect(logprobs!.logprob).toBeCloseTo(4 - logSum, 5)
  })
})

describe('what a sampler asks of the executor', () => {
  const need = (params: Partial<SamplingParams>) =>
    createSampler({ ...greedySampling, ...params }, [], []).need()

  it('is the best token alone for plain greedy', () => expect(need({})).toEqual({ kind: 'argmax' }))
  it('is the best few otherwise, with the masses that it will look at', () => {
    const top = (...logSumExpAt: number[]) => ({ kind: 'top', logSumExpAt })
    expect(need({ temperature: 0.5 })).toEqual(top(2))
    expect(need({ temperature: 0.5, topLogprobs: 0 })).toEqual(top(2, 1))
    expect(need({ temperature: 1, topLogprobs: 0 })).toEqual(top(1))
    expect(need({ topLogprobs: 0 })).toEqual(top(1))
    expect(need({ presencePenalty: 1 })).toEqual(top())
    expect(need({ temperature: 0.5, topK: 40 })).toEqual(top())
    expect(need({ temperature: 0.5, minP: 0.1, topLogprobs: 2 })).toEqual(top(1))
  })
})

describe('a broken model', () => {
  it.each([
    ['a NaN on top', [NaN, NaN], greedySampling],
    ['a NaN somewhere, in the mass', [2, 1, NaN], drawing],
    ['no possible token', [-Infinity, -Infinity], greedySampling],
    ['an infinite logit', [1, Infinity], drawing],
  ])('fails the request with %s', (_, logits, params) => {
    const sample = () => createSampler(params, [], []).sample(rowOf(logits, 1))
    expect(sample).toThrowError(expect.objectContaining({ name: 'ServingError', code: 'INTERNAL' }))
  })
})
