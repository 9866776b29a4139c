import type { Micros } from '../../core/units.ts'
import type { SchedulingPolicy } from '../policy.ts'
import { HeapQueue } from '../queues/heap-queue.ts'
import type { SequenceView } from '../sequence.ts'

/** A request without a program is one by itself. */
const startOf = ({ request }: SequenceView): Micros => request.programStartedAt ?? request.arrivedAt

/**
 * First come, first served by program: a later turn of an agent or a conversation goes by when the whole began, so
 * that programs end one after the other instead of all late (Continuum). The program that began last gives up
 * its blocks first. Only programs that began before it can pass a request; each has one turn at a time.
 */
export function program(): SchedulingPolicy {
  return {
    name: 'program',
    knowsPrograms: true,
    createQueue: () => new HeapQueue((a, b) => startOf(a) - startOf(b)),
    pickVictim: (running) => running.reduce((last, each) => (startOf(each) >= startOf(last) ? each : last)),
  }
}
