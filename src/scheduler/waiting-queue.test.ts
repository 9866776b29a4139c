import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRequest } from '../../test/support/generate.ts'
import { InvariantError } from '../core/errors.ts'
import { micros, toSequenceId } from '../core/units.ts'
import { policies } from './policies/index.ts'
import type { SchedulingPolicy } from './policy.ts'
import { Sequence } from './sequence.ts'
import { WaitingQueue } from './waiting-queue.ts'

function sequenceOf(id: number, arrivedAt: number): Sequence {
  const request = createRequest({ id: `${id}`, promptTokens: [1], arrivedAt: micros(arrivedAt) })
  return new Sequence(toSequenceId(id), request, 10, new Set())
}

function drain(queue: WaitingQueue): number[] {
  const ids: number[] = []
  for (let next = queue.peek(); next; next = queue.peek()) {
    queue.remove(next)
    ids.push(next.id)
  }
  return ids
}

describe('the waiting queue', () => {
  it('hands out in order whatever is added and removed in between', () => {
    const change = fc.record({ arrivedAt: fc.nat(5), remove: fc.option(fc.nat(30), { nil: undefined }) })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const queue = new WaitingQueue(policies.fcfs())
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

  it('takes a new order when the policy has changed its mind', () => {
    let sign = 1
    const policy: SchedulingPolicy = {
      name: 'moody',
      compareWaiting: (a, b) => sign * (a.id - b.id),
      pickVictim: (running) => running.at(-1),
    }
    const queue = new WaitingQueue(policy)
    for (let id = 0; id < 20; id += 1) queue.add(sequenceOf(id, 0))
    sign = -1
    queue.reorder()
    queue.checkInvariants()
    expect(drain(queue)).toEqual(Array.from({ length: 20 }, (_, index) => 19 - index))
  })

  it('refuses one that waits already, and to remove one that does not', () => {
    const queue = new WaitingQueue(policies.fcfs())
    const sequence = sequenceOf(1, 0)
    expect(() => queue.remove(sequence)).toThrow(InvariantError)
    queue.add(sequence)
    expect(() => queue.add(sequence)).toThrow(InvariantError)
  })
})
