const pattern = /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d(?:\.\d+)?)(?:Z|([+-])(\d\d):?(\d\d))?$/

/**
 * Seconds since 1970 of `2023-11-16 18:17:03.9799600`, with or without an offset from UTC; undefined when it is none.
 * Days from the civil calendar after Howard Hinnant, "chrono-compatible low-level date algorithms".
 */
export function parseTimestamp(
  text: string,
): { readonly seconds: number; readonly fraction: number } | undefined {
  const match = pattern.exec(text)
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second >= 61)
    return undefined
  const sign = match[7] === '-' ? -1 : 1
  const offset = sign * (Number(match[8] ?? 0) * 3600 + Number(match[9] ?? 0) * 60)
  const whole = Math.floor(second)
  const seconds = daysFromCivil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + whole - offset
  return { seconds, fraction: second - whole }
}

function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}
