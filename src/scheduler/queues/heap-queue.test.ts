import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRequest } from '../../../test/support/generate.ts'
import { InvariantError } from '../../core/errors.ts'
import { micros, toSequenceId } from '../../core/units.ts'
import { Sequence } from '../sequence.ts'
import { HeapQueue } from './heap-queue.ts'

function sequenceOf(id: number, arrivedAt: number): Sequence {
  const request = createRequest({ id: `${id}`, promptTokens: [1], arrivedAt: micros(arrivedAt) })
  return new Sequence(toSequenceId(id), request, 10, new Set())
}

function drain(queue: HeapQueue): number[] {
  const ids: number[] = []
  for (let next = queue.peek(); next; next = queue.peek()) {
    queue.remove(next)
    ids.push(next.id)
  }
  return ids
}

describe('a queue whose order stands still', () => {
  it('hands out in order whatever is added and removed in between', () => {
    const change = fc.record({ arrivedAt: fc.nat(5), remove: fc.option(fc.nat(30), { nil: undefined }) })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const queue = new HeapQueue(() => 0)
        const waiting: Sequence[] = []
        changes.forEach(({ arrivedAt, remove }, index) => {
          if (remove !== undefined && remove < waiting.length) queue.remove(waiting.splice(remove, 1)[0]!)
          const sequence = sequenceOf(index, arrivedAt)
          waiting.push(sequence)
          queue.add(sequence)
          queue.checkInvariants()
          expect(queue.size).toBe(waiting.length)
        })
        const expected = waiting.sort((a, b) => a.request.arrivedAt - b.request.arrivedAt || a.id - b.id)
        const ids = expected.map(({ id }) => id)
        expect(drain(queue)).toEqual(ids)
      }),
    )
  })

  it('refuses one that waits already, and to remove one that does not', () => {
    const queue = new HeapQueue(() => 0)
    const sequence = sequenceOf(1, 0)
    expect(() => queue.remove(sequence)).toThrow(InvariantError)
    queue.add(sequence)
    expect(() => queue.add(sequence)).toThrow(InvariantError)
  })
})
