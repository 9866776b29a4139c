import type { SchedulingPolicy } from '../policy.ts'
import { HeapQueue } from '../queues/heap-queue.ts'

/**
 * First come, first served: by arrival, but whoever was admitted once goes before those who never were. The last
 * admitted gives up its blocks first, so the first admitted always finishes.
 */
export function fcfs(): SchedulingPolicy {
  return {
    name: 'fcfs',
    createQueue: () =>
      new HeapQueue((a, b) => Number(b.status === 'preempted') - Number(a.status === 'preempted')),
    pickVictim: (running) => running.at(-1),
  }
}
