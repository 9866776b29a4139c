import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createRequest } from '../../../test/support/generate.ts'
import { micros, toSequenceId } from '../../core/units.ts'
import { Sequence } from '../sequence.ts'
import { ClassQueue } from './class-queue.ts'
import { HeapQueue } from './heap-queue.ts'
import { LaneQueue } from './lane-queue.ts'

function sequenceOf(id: number, tenant: string): Sequence {
  const request = createRequest({ id: `${id}`, promptTokens: [1], tenant, arrivedAt: micros(id) })
  return new Sequence(toSequenceId(id), request, 10, new Set())
}

const now = micros(0)
const tenants = ['a', 'b', 'c', 'd', 'e']

/** Lanes whose keys and loads are in the hands of the test. */
function createLanes() {
  const keys = new Map<string, number>()
  const loads = new Map<string, number>()
  const queue = new LaneQueue({
    laneOf: ({ request }) => request.tenant,
    keyOf: (lane) => keys.get(lane) ?? 0,
    loadOf: (lane) => loads.get(lane) ?? 0,
    createLane: () => new HeapQueue(() => 0),
  })
  return { queue, keys, loads }
}

it('serves the lane with the lowest key, whatever keys do in between', () => {
  const change = fc.record({
    tenant: fc.constantFrom(...tenants),
    key: fc.nat(5),
    load: fc.nat(2),
    remove: fc.option(fc.nat(40), { nil: undefined }),
  })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 80 }), (changes) => {
      const { queue, keys, loads } = createLanes()
      const waiting: Sequence[] = []
      for (const [id, { tenant, key, load, remove }] of changes.entries()) {
        keys.set(tenant, key)
        loads.set(tenant, load)
        queue.refresh(tenant)
        if (remove !== undefined && remove < waiting.length) queue.remove(waiting.splice(remove, 1)[0]!)
        waiting.push(sequenceOf(id, tenant))
        queue.add(waiting.at(-1)!)
        queue.checkInvariants()
        expect(queue.size).toBe(waiting.length)
        const rank = ({ request }: Sequence) =>
          [keys.get(request.tenant)!, loads.get(request.tenant)!] as const
        const least = waiting.map(rank).toSorted((a, b) => a[0] - b[0] || a[1] - b[1])[0]
        const first = queue.peek(now)!
        expect(rank(first)).toEqual(least)
        expect(queue.leastKey).toBe(least![0])
        const ofLane = waiting.filter(({ request }) => request.tenant === first.request.tenant)
        expect(first.id).toBe(Math.min(...ofLane.map((each) => each.id)))
      }
      expect([...queue.values()]).toHaveLength(waiting.length)
    }),
  )
})

it('serves equal lanes in the order in which somebody began to wait in them', () => {
  const { queue } = createLanes()
  const order = ['c', 'a', 'b']
  order.forEach((tenant, id) => queue.add(sequenceOf(id, tenant)))
  const served: string[] = []
  for (let next = queue.peek(now); next; next = queue.peek(now)) {
    served.push(next.request.tenant)
    queue.remove(next)
  }
  expect(served).toEqual(order)
})

it('finds the heads of all lanes up to a key', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 20 }), fc.nat(9), (laneKeys, limit) => {
      const { queue, keys } = createLanes()
      laneKeys.forEach((key, index) => {
        keys.set(`${index}`, key)
        queue.add(sequenceOf(index, `${index}`))
      })
      const heads = queue.headsWithin(limit, 100, now).map(({ id }) => laneKeys[id]!)
      expect(heads.toSorted()).toEqual(laneKeys.filter((key) => key <= limit).toSorted())
      if (heads.length > 0) expect(heads[0]).toBe(Math.min(...laneKeys))
      expect(queue.headsWithin(limit, 3, now).length).toBe(Math.min(3, heads.length))
    }),
  )
})

it('asks anew for the order of classes at every look', () => {
  let sign = 1
  const queue = new ClassQueue({
    classOf: ({ request }) => request.tenant,
    compareHeads: (a, b) => sign * (a.id - b.id),
    createQueue: () => new HeapQueue(() => 0),
  })
  for (const [id, tenant] of tenants.entries()) queue.add(sequenceOf(id, tenant))
  expect(queue.peek(now)?.id).toBe(0)
  sign = -1
  expect(queue.peek(now)?.id).toBe(4)
  queue.remove(queue.peek(now)!)
  expect(queue.peek(now)?.id).toBe(3)
  expect(queue.has('e')).toBe(false)
  queue.checkInvariants()
})
