import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createRequest } from '../../test/support/generate.ts'
import { micros, toRequestId, toSequenceId } from '../core/units.ts'
import { Sequence } from './sequence.ts'
import type { PlanEntry, StepPlan } from './step-plan.ts'
import { TimelineRecorder, type TimelineInterval } from './timeline.ts'

const sequenceOf = (id: number, arrivedAt: number): Sequence =>
  new Sequence(
    toSequenceId(id),
    createRequest({ id: `${id}`, promptTokens: [1, 2, 3], arrivedAt: micros(arrivedAt) }),
    50,
    new Set(),
  )

function planOf(chunks: Readonly<Record<number, number>>, preempted: readonly number[] = []): StepPlan {
  const entries = Object.entries(chunks).map(([id, length]): PlanEntry => ({
    sequenceId: toSequenceId(Number(id)),
    requestId: toRequestId(id),
    tokens: Array.from({ length }, () => 1),
    position: 0,
    extents: [],
    samples: true,
  }))
  const numTokens = entries.reduce((sum, { tokens }) => sum + tokens.length, 0)
  return { step: 1, entries, numTokens, preempted: preempted.map(toSequenceId), copies: [] }
}

const brief = (intervals: readonly TimelineInterval[]) =>
  intervals.map(({ kind, from, to, numSteps, numTokens }) => [kind, from, to, numSteps, numTokens])

it('tells waits from work, and joins like steps', () => {
  const recorder = new TimelineRecorder()
  recorder.add(sequenceOf(1, 10), micros(15))
  recorder.planned(undefined, 'places', micros(20))
  recorder.planned(planOf({ 1: 3 }), undefined, micros(50))
  recorder.stepEnded(planOf({ 1: 3 }), micros(60))
  for (const at of [70, 80, 90]) {
    recorder.planned(planOf({ 1: 1 }), undefined, micros(at - 8))
    recorder.stepEnded(planOf({ 1: 1 }), micros(at))
  }
  recorder.planned(planOf({}, [1]), 'memory', micros(91))
  recorder.planned(planOf({ 1: 6 }), undefined, micros(100))
  recorder.stepEnded(planOf({ 1: 6 }), micros(120))
  const intervals = recorder.finish(toSequenceId(1), micros(120))
  expect(brief(intervals)).toEqual([
    ['received', 10, 15, 0, 0],
    ['queued', 15, 50, 0, 0],
    ['prefill', 50, 60, 1, 3],
    ['decode', 60, 90, 3, 3],
    ['preempted', 90, 100, 0, 0],
    ['prefill', 100, 120, 1, 6],
  ])
  expect(intervals[1]?.waitedFor).toEqual({ places: 30 })
  expect(intervals[4]?.waitedFor).toEqual({ memory: 9 })
  expect(recorder.size).toBe(0)
})

it('adds up to the time from arrival to end, whatever happens, in bounded memory', () => {
  const action = fc.constantFrom('step', 'preempt', 'idle')
  fc.assert(
    fc.property(fc.array(action, { maxLength: 400, size: 'max' }), fc.nat(5), (actions, delay) => {
      const recorder = new TimelineRecorder()
      let now = 100 + delay
      recorder.add(sequenceOf(1, 100), micros(now))
      for (const [index, each] of actions.entries()) {
        now += 3
        const plan =
          each === 'step' ? planOf({ 1: 1 + (index % 2) }) : planOf({}, each === 'preempt' ? [1] : [])
        recorder.planned(plan, each === 'step' ? undefined : 'memory', micros(now))
        now += 4
        recorder.stepEnded(plan, micros(now))
      }
      now += 1
      const intervals = recorder.finish(toSequenceId(1), micros(now))
      expect(intervals[0]?.from).toBe(100)
      expect(intervals.at(-1)?.to).toBe(now)
      for (const [index, { from, to, waitedFor }] of intervals.entries()) {
        if (index > 0) expect(from).toBe(intervals[index - 1]!.to)
        const waited = Object.values(waitedFor).reduce((sum, value) => sum + value, 0)
        expect(waited).toBeLessThanOrEqual(to - from)
      }
      expect(intervals.length).toBeLessThanOrEqual(256)
      const numSteps = intervals.reduce((sum, each) => sum + each.numSteps, 0)
      expect(numSteps).toBe(actions.filter((each) => each === 'step').length)
    }),
  )
})
