/**
 * JSON numbers within bounds, digit by digit. At most 15 digits are written, which a double keeps apart: what is
 * below a bound as text is below it as a number.
 */
import { codePoints } from '../code-points.ts'
import { grammarError } from '../grammar-error.ts'
import {
  character,
  choice,
  empty,
  nothing,
  optional,
  repeat,
  sequence,
  text,
  type GrammarNode,
} from '../node.ts'

export interface NumberBounds {
  /** -Infinity and Infinity: none. */
  readonly min: number
  readonly max: number
  readonly excludesMin: boolean
  readonly excludesMax: boolean
}

const maxDigits = 15
/** Digits behind the point of a number with bounds, unless its bounds have more. */
const usualFraction = 6
const digit = character(codePoints([0x30, 0x39]))
const firstDigit = character(codePoints([0x31, 0x39]))
const minus = optional(text('-'))
const freeInteger = sequence(
  minus,
  choice([text('0'), sequence(firstDigit, repeat(digit, 0, maxDigits - 1))]),
)
const exponent = sequence(
  choice([text('e'), text('E')]),
  optional(choice([text('+'), text('-')])),
  repeat(digit, 1, 2),
)
const freeNumber = sequence(
  freeInteger,
  optional(sequence(text('.'), repeat(digit, 1, maxDigits))),
  optional(exponent),
)

/** @throws {ServingError} INVALID_REQUEST for bounds that 15 digits cannot write. */
export function integerNode(bounds: NumberBounds): GrammarNode {
  if (isFree(bounds)) return freeInteger
  const limit = 10 ** maxDigits - 1
  const min = Math.ceil(bounds.min)
  const max = Math.floor(bounds.max)
  const low = Math.max(-limit, bounds.excludesMin && min === bounds.min ? min + 1 : min)
  const high = Math.min(limit, bounds.excludesMax && max === bounds.max ? max - 1 : max)
  return choice([
    ...(high >= 0 ? [wholeNumbers(Math.max(0, low), high)] : []),
    ...(low < 0 ? [sequence(text('-'), wholeNumbers(Math.max(1, -high), -low))] : []),
  ])
}

/** @throws {ServingError} INVALID_REQUEST for bounds that 15 digits cannot write. */
export function numberNode(bounds: NumberBounds): GrammarNode {
  if (isFree(bounds)) return freeNumber
  const written = [bounds.min, bounds.max].filter(Number.isFinite).map(decimalOf)
  const numFraction = Math.max(usualFraction, ...written.map(({ fraction }) => fraction.length))
  const limit = 10 ** (maxDigits - numFraction) - 1
  if (written.some(({ whole }) => whole > limit)) throw grammarError('a bound has too many digits')
  const { min, max, excludesMin, excludesMax } = bounds
  const upTo = (value: number): Bound => (value === Infinity ? whole(limit) : decimalOf(value))
  const positive =
    max >= 0
      ? decimals(
          { ...(min > 0 ? decimalOf(min) : zero), excluded: min >= 0 && excludesMin },
          { ...upTo(max), excluded: excludesMax },
          numFraction,
        )
      : nothing
  const negative =
    min < 0
      ? decimals(
          { ...(max < 0 ? decimalOf(max) : zero), excluded: max <= 0 && excludesMax },
          { ...upTo(-min), excluded: excludesMin },
          numFraction,
        )
      : nothing
  return choice([positive, sequence(text('-'), negative)])
}

function isFree({ min, max }: NumberBounds): boolean {
  return min === -Infinity && max === Infinity
}

interface Bound {
  readonly whole: number
  /** Digits behind the point, without zeros at the end. */
  readonly fraction: string
}

const zero: Bound = { whole: 0, fraction: '' }

function whole(value: number): Bound {
  return { whole: value, fraction: '' }
}

/** The absolute value. */
function decimalOf(value: number): Bound {
  const written = String(Math.abs(value))
  const small = /^(\d)(?:\.(\d+))?e-(\d+)$/.exec(written)
  if (small !== null)
    return { whole: 0, fraction: '0'.repeat(Number(small[3]) - 1) + small[1] + (small[2] ?? '') }
  if (written.includes('e')) throw grammarError('a bound has too many digits')
  const [before = '0', fraction = ''] = written.split('.')
  return { whole: Number(before), fraction }
}

interface Limit extends Bound {
  readonly excluded: boolean
}

/** Numbers without a sign from `low` to `high`, with at most so many digits behind the point. */
function decimals(low: Limit, high: Limit, numFraction: number): GrammarNode {
  if (low.whole > high.whole) return nothing
  const from = { digits: low.fraction, excluded: low.excluded }
  const to = { digits: high.fraction, excluded: high.excluded }
  if (low.whole === high.whole) return sequence(text(`${low.whole}`), fractions(from, to, numFraction))
  return choice([
    sequence(text(`${low.whole}`), fractions(from, undefined, numFraction)),
    sequence(wholeNumbers(low.whole + 1, high.whole - 1), fractions(undefined, undefined, numFraction)),
    sequence(text(`${high.whole}`), fractions(undefined, to, numFraction)),
  ])
}

interface FractionLimit {
  readonly digits: string
  readonly excluded: boolean
}

/** What may stand behind the whole part: nothing, or a point and digits. Undefined: no limit on that side. */
function fractions(
  low: FractionLimit | undefined,
  high: FractionLimit | undefined,
  length: number,
): GrammarNode {
  const withPoint = sequence(text('.'), moreDigits(low, high, length))
  return choice(mayEnd(low, high) ? [empty, withPoint] : [withPoint])
}

function moreDigits(
  low: FractionLimit | undefined,
  high: FractionLimit | undefined,
  length: number,
): GrammarNode {
  if (length === 0) return nothing
  if (low === undefined && high === undefined) return repeat(digit, 1, length)
  const lowest = low === undefined ? -1 : Number(low.digits[0] ?? '0')
  const highest = high === undefined ? 10 : Number(high.digits[0] ?? '0')
  const options: GrammarNode[] = []
  for (let value = 0; value <= 9; value += 1) {
    if (value < lowest || value > highest) continue
    const nextLow = value === lowest ? behindFirst(low!) : undefined
    const nextHigh = value === highest ? behindFirst(high!) : undefined
    const more = moreDigits(nextLow, nextHigh, length - 1)
    options.push(sequence(text(`${value}`), choice(mayEnd(nextLow, nextHigh) ? [empty, more] : [more])))
  }
  return choice(options)
}

function behindFirst({ digits, excluded }: FractionLimit): FractionLimit {
  return { digits: digits.slice(1), excluded }
}

/** Digits that are not written are zeros. */
function mayEnd(low: FractionLimit | undefined, high: FractionLimit | undefined): boolean {
  const isAboveLow = low === undefined || (low.digits === '' && !low.excluded)
  return isAboveLow && (high === undefined || high.digits !== '' || !high.excluded)
}

/** Whole numbers from 0 on, without a sign and leading zeros. */
function wholeNumbers(low: number, high: number): GrammarNode {
  const options: GrammarNode[] = []
  for (let length = `${low}`.length; low <= high && length <= `${high}`.length; length += 1) {
    const from = Math.max(low, length === 1 ? 0 : 10 ** (length - 1))
    const to = Math.min(high, 10 ** length - 1)
    if (from <= to) options.push(digitsBetween(`${from}`, `${to}`))
  }
  return choice(options)
}

/** Texts of digits as long as both; undefined: no limit on that side. */
function digitsBetween(
  low: string | undefined,
  high: string | undefined,
  length = low?.length ?? high!.length,
): GrammarNode {
  if (low === undefined && high === undefined) return repeat(digit, length, length)
  if (length === 0) return empty
  const lowest = low === undefined ? -1 : Number(low[0])
  const highest = high === undefined ? 10 : Number(high[0])
  const options: GrammarNode[] = []
  for (let value = Math.max(0, lowest); value <= Math.min(9, highest); value += 1) {
    const nextLow = value === lowest ? low!.slice(1) : undefined
    const nextHigh = value === highest ? high!.slice(1) : undefined
    options.push(sequence(text(`${value}`), digitsBetween(nextLow, nextHigh, length - 1)))
  }
  return choice(options)
}
