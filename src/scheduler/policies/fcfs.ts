import type { SchedulingPolicy } from '../policy.ts'

/** First come, first served. The last admitted gives way, and comes back before everybody that arrived after it. */
export function fcfs(): SchedulingPolicy {
  return {
    name: 'fcfs',
    compareWaiting: (a, b) => a.request.arrivedAt - b.request.arrivedAt || a.id - b.id,
    pickVictim: (running) => running[running.length - 1] as (typeof running)[number],
  }
}
