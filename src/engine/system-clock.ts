import type { Clock } from '../core/clock.ts'
import { micros } from '../core/units.ts'

/**
 * Microseconds of the machine's monotonic clock, which starts somewhere: never jumps, and is the same in all processes
 * of one machine, so that instants of the API, of an engine and of its successor after a crash may be compared.
 */
export const systemClock: Clock = {
  now: () => micros(Number(process.hrtime.bigint() / 1000n)),
}
