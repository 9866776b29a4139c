/** What plots over time share. */
import { formatShort } from './format.ts'
import type { Axis, Series, Table } from './plot.ts'
import type { Bins } from './series.ts'

export const timeAxis = (bins: Bins): Axis => ({
  label: 'time from the start (s)',
  kind: 'linear',
  format: formatShort,
  isTight: true,
  include: [0, bins.width * bins.count],
})

const mostRows = 12

/** About a dozen of the bins, each with every series' value. */
export function binnedTable(
  series: readonly Pick<Series, 'name' | 'points'>[],
  bins: Bins,
  format: (value: number | undefined) => string,
  unit: string,
): Table {
  const stride = Math.ceil(bins.count / mostRows)
  const values = series.map(
    ({ points }) => new Map(points.map(({ x, y }) => [Math.floor(x / bins.width), y])),
  )
  const indices = Array.from({ length: bins.count }, (_, index) => index).filter(
    (index) => index % stride === 0 && values.some((byBin) => byBin.has(index)),
  )
  return {
    head: ['From (s)', ...series.map(({ name }) => `${name} (${unit})`)],
    rows: indices.map((index) => [
      formatShort(index * bins.width),
      ...values.map((byBin) => format(byBin.get(index))),
    ]),
  }
}
