/** When requests come, for load generators and the simulator. Instants count from the start of the run. */
import { invariant } from '../core/errors.ts'
import type { RandomStream } from '../core/random.ts'
import { micros, type Micros } from '../core/units.ts'
import { exponential, gamma } from './distributions.ts'

/**
 * A Poisson process: gaps are exponential with mean `1 / ratePerSecond`, independent of each other and of how fast
 * anything answers. The first request comes after a gap too. Ascending.
 */
export function poissonArrivals(count: number, ratePerSecond: number, random: RandomStream): Micros[] {
  requireRate(ratePerSecond)
  return renewal(count, () => exponential(random) / ratePerSecond)
}

/**
 * Bursts: gaps are gamma distributed with mean `1 / ratePerSecond` and the coefficient of variation `cv`. 1 is a
 * Poisson process, above it requests come in clumps, towards 0 they come evenly.
 */
export function gammaArrivals(
  count: number,
  ratePerSecond: number,
  cv: number,
  random: RandomStream,
): Micros[] {
  requireRate(ratePerSecond)
  invariant(cv > 0, `gaps with a coefficient of variation of ${cv}`)
  const shape = 1 / (cv * cv)
  return renewal(count, () => gamma(random, shape) / shape / ratePerSecond)
}

/** A rate that swings around its mean once a period, as the load of a day does; lowest at the start. */
export interface Cycle {
  /** Over whole periods. */
  readonly meanRatePerSecond: number
  /** 0 is a constant rate; 1 swings between nothing and twice the mean. */
  readonly amplitude: number
  readonly periodSeconds: number
}

/** A Poisson process whose rate follows the cycle, by thinning (Lewis and Shedler 1979). Ascending. */
export function cyclicArrivals(count: number, cycle: Cycle, random: RandomStream): Micros[] {
  const { meanRatePerSecond, amplitude, periodSeconds } = cycle
  requireRate(meanRatePerSecond)
  invariant(amplitude >= 0 && amplitude <= 1 && periodSeconds > 0, 'a cycle with a negative rate or period')
  const peak = 1 + amplitude
  return renewal(count, (now) => {
    let at = now
    for (;;) {
      at += exponential(random) / (meanRatePerSecond * peak)
      const relative = 1 - amplitude * Math.cos((2 * Math.PI * at) / periodSeconds)
      if (random.next() * peak < relative) return at - now
    }
  })
}

function renewal(count: number, gapSeconds: (now: number) => number): Micros[] {
  const arrivals: Micros[] = []
  let at = 0
  for (let index = 0; index < count; index += 1) {
    at += gapSeconds(at)
    arrivals.push(micros(at * 1_000_000))
  }
  return arrivals
}

function requireRate(ratePerSecond: number): void {
  invariant(ratePerSecond > 0, `a rate of ${ratePerSecond} requests per second`)
}
