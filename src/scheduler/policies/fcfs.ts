import type { SchedulingPolicy } from '../policy.ts'

/**
 * First come, first served: by arrival, but whoever was admitted once goes before those who never were. The last
 * admitted gives up its blocks first, so the first admitted always finishes.
 */
export function fcfs(): SchedulingPolicy {
  return {
    name: 'fcfs',
    compareWaiting(a, b) {
      const byAdmission = Number(b.status === 'preempted') - Number(a.status === 'preempted')
      return byAdmission || a.request.arrivedAt - b.request.arrivedAt
    },
    pickVictim: (running) => running.at(-1),
  }
}
