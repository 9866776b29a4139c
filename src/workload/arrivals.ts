/** When requests come, for load generators and the simulator. Instants count from the start of the run. */
import { invariant } from '../core/errors.ts'
import type { RandomStream } from '../core/random.ts'
import { micros, type Micros } from '../core/units.ts'

/**
 * A Poisson process: gaps are exponential with mean `1 / ratePerSecond`, independent of each other and of how fast
 * anything answers. The first request comes after a gap too. Ascending.
 */
export function poissonArrivals(count: number, ratePerSecond: number, random: RandomStream): Micros[] {
  invariant(ratePerSecond > 0, `a rate of ${ratePerSecond} requests per second`)
  const arrivals: Micros[] = []
  let at = 0
  for (let index = 0; index < count; index += 1) {
    // 1 - u is in (0, 1], whose logarithm is finite.
    at += (-Math.log(1 - random.next()) / ratePerSecond) * 1_000_000
    arrivals.push(micros(at))
  }
  return arrivals
}
