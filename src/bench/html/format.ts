/** Numbers as people read them. All of them answer a dash for what is no number. */

const none = '–'

/** About three digits: `0.42`, `4.20`, `42.0`, `420`, `42,000`. */
export function formatFigure(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return none
  const size = Math.abs(value)
  if (size >= 1e15) return value.toExponential(2)
  if (size >= 99.95) return grouped(Math.round(value))
  if (size >= 9.995) return value.toFixed(1)
  if (size >= 0.00995 || size === 0) return value.toFixed(2)
  return value.toPrecision(2)
}

export function formatCount(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return none
  return Math.abs(value) >= 1e15 ? value.toExponential(2) : grouped(Math.round(value))
}

/** Of a share from 0 to 1. */
export function formatShare(share: number | undefined): string {
  if (share === undefined || !Number.isFinite(share)) return none
  const percent = share * 100
  return `${Number.isInteger(percent) ? percent : formatFigure(percent)} %`
}

/** A duration in ms in the unit that keeps it short: `80 µs`, `12 ms`, `1.5 s`, `20 min`. */
function formatMillis(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return none
  const size = Math.abs(value)
  if (size === 0) return '0 ms'
  if (size < 1) return `${shortest(value * 1000)} µs`
  if (size < 1000) return `${shortest(value)} ms`
  if (size < 600_000) return `${shortest(value / 1000)} s`
  return size < 36_000_000 ? `${shortest(value / 60_000)} min` : `${shortest(value / 3_600_000)} h`
}

/** For axes: seconds at most, so that ticks stay comparable and short. */
export const formatAxisMillis = (value: number): string =>
  value < 1000 ? formatMillis(value) : `${formatShort(value / 1000)} s`

export const formatSeconds = (value: number | undefined): string =>
  formatMillis(value === undefined ? undefined : value * 1000)

/** For axes, where room is short: `800`, `12k`, `1.5M`. */
export function formatShort(value: number): string {
  if (!Number.isFinite(value)) return none
  const size = Math.abs(value)
  if (size >= 1e12) return value.toExponential(0)
  if (size >= 1e9) return `${shortest(value / 1e9)}G`
  if (size >= 1e6) return `${shortest(value / 1e6)}M`
  return size >= 1e4 ? `${shortest(value / 1e3)}k` : shortest(value)
}

export function formatBytes(value: number): string {
  return value >= 2 ** 30 ? `${shortest(value / 2 ** 30)} GiB` : `${shortest(value / 2 ** 20)} MiB`
}

/** Long texts from data, cut for display. */
export const clip = (text: string, limit = 300): string =>
  text.length <= limit ? text : `${text.slice(0, limit)}…`

const shortest = (value: number): string => String(Number(value.toPrecision(3)))

const grouped = (value: number): string => String(value).replaceAll(/(?<=\d)(?=(\d{3})+$)/g, ',')

/** A simulation has no date, so that the same one is the same report: its clock begins in 1970. */
export const formatCreated = (createdAt: string): string =>
  Date.parse(createdAt) === 0 ? 'simulated' : createdAt
