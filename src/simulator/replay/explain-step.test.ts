import { expect, test } from 'vitest'
import { plainTerms } from '../../core/request.ts'
import { micros, toRequestId } from '../../core/units.ts'
import { explainStep, snapshot } from './explain-step.ts'
import { planLogFormat, type LoggedRequest, type PlanLogHeader } from './plan-log.ts'
import { PlanReplay } from './replay-plans.ts'
import { TokenChain } from './token-chain.ts'

const header: PlanLogHeader = {
  format: planLogFormat,
  planning: {
    policy: 'fcfs',
    maxNumSeqs: 2,
    maxNumBatchedTokens: 16,
    maxModelLen: 100,
    maxTbtMicros: undefined,
    endTokenIds: [],
  },
  numBlocks: 20,
  blockSize: 4,
  eviction: 'lru',
  tiers: null,
}

function request(id: string, numTokens: number): LoggedRequest {
  return {
    ...plainTerms,
    id: toRequestId(id),
    promptTokens: Array.from({ length: numTokens }, (_, index) => index + 1000 * Number(id)),
    outputTokens: [],
    maxTokens: 8,
    ignoreEos: false,
    arrivedAt: micros(0),
  }
}

test('a step is explained by who streams, who goes on, who is admitted and who waits for what', () => {
  const replay = new PlanReplay(header)
  replay.apply({ add: request('1', 3) })
  replay.apply({ plan: '', at: micros(1000) })
  replay.apply({ end: [7], at: micros(2000), micros: 900 })
  replay.apply({ add: request('2', 20) })
  replay.apply({ add: request('3', 5) })
  const before = snapshot(replay)
  const at = micros(3000)
  const { plan } = replay.apply({ plan: '', at })!
  const text = explainStep(replay, header, { plan: plan!, at, before })
  expect(text).toBe(
    [
      'Step 2 under fcfs: 16 of 16 tokens, 2 of 2 sequences; 6 of 20 blocks held, 0 more cached.',
      '  1 (tenant default, default) decodes: output token 2, as every stream does in every step',
      '  2 (tenant default, default) is admitted: tokens 0 to 14 of 20',
      '1 wait. The first in line was not admitted: all 2 places are taken (--max-num-seqs).',
      '  3 (tenant default, default): 5 tokens, waiting, arrived 0.003 s ago',
      '',
    ].join('\n'),
  )
})

test('a log that ends a step which was not planned, or is no log, is refused by its line', () => {
  expect(() => new PlanReplay({ ...header, format: 'other' as never })).toThrow('line 1')
  expect(() => new PlanReplay({ ...header, tiers: { sizes: [], bytesPerBlock: 1, isKept: true } })).toThrow(
    'life before',
  )
  const replay = new PlanReplay(header)
  expect(() => replay.apply({ end: [], at: micros(0), micros: 1 })).toThrow('line 2')
})

test('stand-ins are equal exactly as far as tokens are', () => {
  const one = new TokenChain(5).all([1, 2, 3, 4, 5])
  const other = new TokenChain(5).all([1, 2, 9, 4, 5])
  expect(one.map((value, index) => value === other[index])).toEqual([true, true, false, false, false])
  expect(new TokenChain(6).all([1, 2])[0]).not.toBe(one[0])
})
