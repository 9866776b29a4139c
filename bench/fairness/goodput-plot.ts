/** One panel a class, one line a policy: share of requests that met their targets over load. An SVG file. */

export interface GoodputPoint {
  readonly share: number
  readonly policy: string
  readonly kind: string
  /** 0 to 1. */
  readonly goodput: number
}

const width = 250
const height = 190
const left = 44
const top = 34
const gap = 36
const colors = ['#888888', '#d98c00', '#2a7fd4', '#1a9e5c']
const dashes = ['2 3', '6 3', '9 2', 'none']

export function goodputPlot(
  points: readonly GoodputPoint[],
  titles: Readonly<Record<string, string>>,
): string {
  const kinds = Object.keys(titles)
  const policies = [...new Set(points.map(({ policy }) => policy))]
  const shares = points.map(({ share }) => share)
  const [low, high] = [Math.min(...shares), Math.max(...shares)]
  const x = (share: number): number => ((share - low) / (high - low)) * width
  const y = (goodput: number): number => (1 - goodput) * height
  const panels = kinds.map((kind, index) => {
    const lines = policies.map((policy, number) => {
      const own = points.filter((point) => point.kind === kind && point.policy === policy)
      const path = own
        .map(({ share, goodput }) => `${x(share).toFixed(1)},${y(goodput).toFixed(1)}`)
        .join(' ')
      return `<polyline points="${path}" fill="none" stroke="${colors[number]}" stroke-width="2" stroke-dasharray="${dashes[number]}"/>`
    })
    const frame = `<rect width="${width}" height="${height}" fill="none" stroke="#999"/>`
    const capacity = `<line x1="${x(1)}" x2="${x(1)}" y2="${height}" stroke="#ccc"/>`
    const labels = [low, 1, high].map((share) => text(x(share), height + 16, share.toFixed(1), 'middle'))
    const sides = [0, 0.5, 1].map((part) => text(-6, y(part) + 4, `${100 * part} %`, 'end'))
    const title = text(width / 2, -12, titles[kind] ?? kind, 'middle')
    const at = `translate(${left + index * (width + gap)} ${top})`
    return `<g transform="${at}">${frame}${capacity}${lines.join('')}${labels.join('')}${index === 0 ? sides.join('') : ''}${title}</g>`
  })
  const legend = policies.map((policy, number) => {
    const at = left + number * 190
    const line = `<line x1="${at}" x2="${at + 36}" y1="0" y2="0" stroke="${colors[number]}" stroke-width="2" stroke-dasharray="${dashes[number]}"/>`
    return line + text(at + 44, 4, policy, 'start')
  })
  const total = left + kinds.length * (width + gap)
  const bottom = top + height + 46
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${total} ${bottom + 20}" font-family="sans-serif" font-size="12">\n` +
    `<rect width="100%" height="100%" fill="white"/>\n${panels.join('\n')}\n` +
    `${text(left, bottom - 10, 'load, as a share of capacity', 'start')}\n` +
    `<g transform="translate(0 ${bottom + 6})">${legend.join('')}</g>\n</svg>\n`
  )
}

function text(x: number, y: number, content: string, anchor: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="#333">${content}</text>`
}
