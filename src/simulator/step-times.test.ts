import fc from 'fast-check'
import { expect, test } from 'vitest'
import { StepTimes } from './step-times.ts'

test('steps that nobody needs are forgotten, and all gaps of streams are told of', () => {
  const stream = fc.record({ start: fc.nat(8), length: fc.integer({ min: 1, max: 700 }) })
  fc.assert(
    fc.property(
      fc.array(stream, { maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      (streams, lengths) => {
        const steps = new StepTimes()
        const told = new Map<number, number>()
        const expected = new Map<number, number>()
        const count = (counts: Map<number, number>, micros: number, times: number): void => {
          counts.set(micros, (counts.get(micros) ?? 0) + times)
        }
        steps.onGaps = (micros, times) => count(told, micros, times)
        const ends: number[] = []
        const live: { first: number; last: number }[] = []
        const waiting = [...streams]
        let nextAt = 0
        while (waiting.length > 0 || live.length > 0 || ends.length < 3000) {
          const step = ends.length
          const end = (ends.at(-1) ?? 0) + lengths[step % lengths.length]!
          ends.push(end)
          steps.push(end)
          if (step >= nextAt && waiting.length > 0) {
            const { start, length } = waiting.shift()!
            live.push({ first: step, last: step + length - 1 })
            nextAt = step + start
          }
          for (const ended of live.filter(({ last }) => last === step)) {
            live.splice(live.indexOf(ended), 1)
            for (let at = ended.first; at <= step; at += 1) expect(steps.at(at)).toBe(ends[at])
            for (let at = ended.first + 1; at <= step; at += 1) count(expected, ends[at]! - ends[at - 1]!, 1)
            steps.noteStream(ended.first, step)
            steps.forgetBefore(Math.min(steps.length, ...live.map(({ first }) => first)))
          }
        }
        steps.close()
        expect(steps.length).toBe(ends.length)
        expect([...told].toSorted(([a], [b]) => a - b)).toEqual([...expected].toSorted(([a], [b]) => a - b))
      },
    ),
    { numRuns: 30 },
  )
})
