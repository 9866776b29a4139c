import fc from 'fast-check'
import { expect, test } from 'vitest'
import { changesOf, searchSettings, type Candidate, type Knob } from './search.ts'

const knobs: readonly Knob[] = [
  { name: 'size', values: [undefined, '1', '2', '3', '4'] },
  { name: 'kind', values: [undefined, 'a', 'b'] },
]

/** Each setting is worth something by itself. */
const separate =
  (worths: Readonly<Record<string, number>>) =>
  (candidate: Candidate): number =>
    Object.entries(candidate).reduce((sum, [name, value]) => sum + (worths[`${name} ${value}`] ?? 0), 100)

test('finds the best of every setting where settings do not depend on each other', () => {
  const worth = fc.integer({ min: -50, max: 50 })
  const worths = fc.record({
    'size 1': worth,
    'size 2': worth,
    'size 4': worth,
    'kind a': worth,
    'kind b': worth,
  })
  fc.assert(
    fc.property(worths, (values) => {
      const { best } = searchSettings({ knobs, start: {}, scoreOf: separate(values), leastGain: 0 })
      const most = (name: string): number =>
        Math.max(
          0,
          ...Object.entries(values).flatMap(([key, value]) => (key.startsWith(name) ? [value] : [])),
        )
      expect(best.score).toBe(100 + most('size') + most('kind'))
    }),
  )
})

test('tries nothing twice, and never ends below where it began', () => {
  const score = fc.array(fc.double({ noNaN: true }), { minLength: 15, maxLength: 15 })
  fc.assert(
    fc.property(score, (scores) => {
      const seen = new Set<string>()
      const scoreOf = (candidate: Candidate): number => {
        const key = `${candidate['size']} ${candidate['kind']}`
        expect(seen.has(key)).toBe(false)
        seen.add(key)
        return scores[seen.size - 1]!
      }
      const { best, start, tried } = searchSettings({ knobs, start: {}, scoreOf, leastGain: 0 })
      expect(best.score).toBeGreaterThanOrEqual(start.score)
      expect(tried.length).toBe(seen.size)
      expect(tried.every(({ score }, index) => index === 0 || score <= tried[index - 1]!.score)).toBe(true)
    }),
  )
})

test('makes no change for less than it must gain, and takes back what has come to gain nothing', () => {
  const small = searchSettings({ knobs, start: {}, scoreOf: separate({ 'size 2': 1 }), leastGain: 0.02 })
  expect(small.best.candidate).toEqual({})
  // With kind b, found later, the size no longer matters.
  const scoreOf = ({ size, kind }: Candidate): number => (kind === 'b' ? 200 : size === '3' ? 150 : 100)
  expect(searchSettings({ knobs, start: {}, scoreOf, leastGain: 0.02 }).best.candidate).toEqual({ kind: 'b' })
})

test('leaves what is not acceptable as soon as anything is', () => {
  const scoreOf = ({ kind }: Candidate): number => (kind === 'a' ? -5 : -Infinity)
  expect(searchSettings({ knobs, start: {}, scoreOf, leastGain: 0.01 }).best.candidate).toEqual({ kind: 'a' })
})

test('tells in which settings two candidates differ', () => {
  expect(changesOf({ a: '1', b: '2' }, { b: '3', c: '4' })).toEqual(['a', 'b', 'c'])
})
