import { expect, it } from 'vitest'
import type { Choice } from './answer-format.ts'
import { pickChoices } from './choice-picking.ts'

function choiceOf(index: number, place: number, logprobs: readonly number[]): Choice {
  const details = logprobs.map((logprob) => ({ tokenId: 1, logprobs: { logprob, top: [] } }))
  const timings = {
    arrivedAt: 0,
    firstScheduledAt: 0,
    firstTokenAt: 0,
    finishedAt: 0,
    numCachedTokens: 0,
    numPreemptions: 0,
    intervals: [],
  } as unknown as NonNullable<Choice['result']>['timings']
  const result = place === Infinity ? undefined : ({ reason: 'stop', numOutputTokens: 1, timings } as const)
  return { index, place, details, events: [], text: `${index}`, result }
}

const choices = [
  choiceOf(0, 2, [-1, -1, -1]),
  choiceOf(1, 0, [-2]),
  choiceOf(2, 1, [-0.5, -1]),
  choiceOf(3, Infinity, [-0.1]),
]
const texts = (picked: readonly Choice[]) => picked.map(({ text }) => text)

it('picks the first to finish', () => {
  const picked = pickChoices({ by: 'first', count: 2 }, choices)
  expect(texts(picked)).toEqual(['1', '2'])
  expect(picked.map(({ index }) => index)).toEqual([0, 1])
})

it('picks the likeliest per token among those that finished', () => {
  expect(texts(pickChoices({ by: 'best', count: 2 }, choices))).toEqual(['2', '0'])
  expect(texts(pickChoices({ by: 'best', count: 9 }, choices))).toEqual(['2', '0', '1'])
})
