import { keywordError } from './keywords.ts'
import type { PlainSchema } from './plain-schema.ts'

const maxMultiples = 10_000

/**
 * Numbers between the bounds that divide without a rest, as JavaScript divides: so validators look at it.
 * @throws {ServingError} INVALID_REQUEST where there is no bound or too many are between.
 */
export function multiplesOf(
  { divisors, minimum, maximum, excludesMinimum, excludesMaximum }: PlainSchema,
  type: 'number' | 'integer',
  path: string,
): number[] {
  const largest = Math.max(...divisors)
  const [first, last] = [Math.ceil(minimum / largest), Math.floor(maximum / largest)]
  if (!(last - first < maxMultiples)) {
    const why = `needs 'minimum' and 'maximum', and at most ${maxMultiples} multiples between`
    throw keywordError('multipleOf', path, why)
  }
  const isOne = (value: number): boolean =>
    (excludesMinimum ? value > minimum : value >= minimum) &&
    (excludesMaximum ? value < maximum : value <= maximum) &&
    (type === 'number' || Number.isInteger(value)) &&
    divisors.every((divisor) => Number.isInteger(value / divisor))
  const candidates = Array.from({ length: Math.max(0, last - first + 1) }, (_, index) =>
    Number(((first + index) * largest).toPrecision(15)),
  )
  return candidates.filter(isOne)
}
