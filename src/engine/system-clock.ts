import type { Clock } from '../core/clock.ts'
import { micros } from '../core/units.ts'

/** Monotonic within a process, and comparable between the processes of one machine: microseconds since 1970. */
export const systemClock: Clock = {
  now: () => micros((performance.timeOrigin + performance.now()) * 1000),
}
