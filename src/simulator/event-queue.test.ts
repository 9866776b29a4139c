import fc from 'fast-check'
import { expect, test } from 'vitest'
import { micros } from '../core/units.ts'
import { EventQueue, eventRank, type EventKind } from './event-queue.ts'

const kinds = Object.keys(eventRank) as EventKind[]

test('events come by instant, then by kind, then in the order in which they were added', () => {
  const event = fc.record({ at: fc.nat(5), kind: fc.constantFrom(...kinds), takes: fc.boolean() })
  fc.assert(
    fc.property(fc.array(event), (events) => {
      const queue = new EventQueue()
      const naive: { at: number; rank: number; index: number }[] = []
      const taken: (number | undefined)[] = []
      const expected: (number | undefined)[] = []
      const take = (): void => {
        queue.take()?.run(micros(0))
        naive.sort((a, b) => a.at - b.at || a.rank - b.rank || a.index - b.index)
        const first = naive.shift()
        if (first !== undefined) expected.push(first.index)
      }
      events.forEach(({ at, kind, takes }, index) => {
        queue.add(micros(at), kind, () => taken.push(index))
        naive.push({ at, rank: eventRank[kind], index })
        if (takes) take()
      })
      while (naive.length > 0) take()
      expect(taken).toEqual(expected)
      expect(queue.size).toBe(0)
    }),
  )
})
