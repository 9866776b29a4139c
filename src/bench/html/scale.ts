/** From figures to places on a plot, and which figures an axis names. */

export interface Scale {
  readonly kind: 'linear' | 'log'
  readonly low: number
  readonly high: number
  readonly ticks: readonly number[]
  /** Where a value lies, in units of the drawing. What is outside is moved to the edge. */
  at(value: number): number
}

export interface ScaleOptions {
  /** Places of the low and the high end. */
  readonly range: readonly [number, number]
  readonly numTicks: number
  /** Whether a linear scale ends at the lowest and the highest value, not at the ticks outside. */
  readonly isTight?: boolean
}

/** From the tick below the lowest to the tick above the highest value. Steps are 1, 2 or 5 times a power of ten. */
export function linearScale(low: number, high: number, options: ScaleOptions): Scale {
  const [from, to] = widen(low, high)
  const step = niceStep((to - from) / options.numTicks)
  const [first, last] = [Math.floor(from / step + 1e-9), Math.ceil(to / step - 1e-9)]
  // A multiple of the step, not a running sum: 0.30000000000000004 is no tick.
  const ticks = Array.from({ length: Math.min(last - first, 100) + 1 }, (_, index) =>
    Number(((first + index) * step).toPrecision(12)),
  )
  if (options.isTight !== true) return scale('linear', [first * step, last * step], ticks, options.range)
  return scale(
    'linear',
    [from, to],
    ticks.filter((tick) => tick >= from && tick <= to),
    options.range,
  )
}

/** Over positive values; ticks at 1, 2 and 5 times powers of ten where there is room, else at powers alone. */
export function logScale(low: number, high: number, options: ScaleOptions): Scale {
  const numDecades = Math.log10(high / low)
  const digits = numDecades * 3 <= options.numTicks ? [1, 2, 5] : [1]
  const first = lastBelow(low, digits)
  const last = firstAbove(high, digits, first)
  const all = steps(Math.floor(Math.log10(first)), Math.ceil(Math.log10(last)), digits)
  const ticks = all.filter((tick) => tick >= first * 0.999 && tick <= last * 1.001)
  const stride = Math.ceil(ticks.length / (options.numTicks + 1))
  return scale(
    'log',
    [first, last],
    ticks.filter((_, index) => index % stride === 0),
    options.range,
  )
}

/** 1, 2 or 5 times a power of ten, at least `size`. */
export function niceStep(size: number): number {
  const power = 10 ** Math.floor(Math.log10(size))
  const digit = [1, 2, 5, 10].find((candidate) => candidate * power >= size * (1 - 1e-9)) ?? 10
  return digit * power
}

function scale(
  kind: Scale['kind'],
  [low, high]: readonly [number, number],
  ticks: readonly number[],
  [from, to]: readonly [number, number],
): Scale {
  const warp = kind === 'log' ? Math.log : Number
  const [start, span] = [warp(low), warp(high) - warp(low)]
  const at = (value: number): number => {
    const share = (warp(Math.min(Math.max(value, low), high)) - start) / span
    return from + (to - from) * share
  }
  return { kind, low, high, ticks, at }
}

/** One value alone, or values that only rounding tells apart, get room on both sides. */
function widen(low: number, high: number): readonly [number, number] {
  if (high - low > 1e-9 * Math.max(Math.abs(low), Math.abs(high))) return [low, high]
  const room = Math.abs(low) > 0 ? Math.abs(low) / 2 : 1
  return low >= 0 && low - room < 0 ? [0, low + room] : [low - room, low + room]
}

function lastBelow(value: number, digits: readonly number[]): number {
  const power = Math.floor(Math.log10(value))
  const below = steps(power - 1, power, digits).filter((tick) => tick <= value * 1.000_001)
  return below.at(-1) ?? 10 ** (power - 1)
}

function firstAbove(value: number, digits: readonly number[], first: number): number {
  const power = Math.floor(Math.log10(value))
  const above = steps(power - 1, power + 1, digits).find((tick) => tick >= value * 0.999_999 && tick > first)
  return above ?? first * 10
}

function steps(fromPower: number, toPower: number, digits: readonly number[]): number[] {
  const powers = Array.from({ length: toPower - fromPower + 1 }, (_, index) => fromPower + index)
  return powers.flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`)))
}
