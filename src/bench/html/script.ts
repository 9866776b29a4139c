/** The page's only script: shows the nearest value under the pointer. Everything can be read without it. */
export const script = `(() => {
  const tip = document.createElement('div')
  tip.className = 'tip'
  tip.hidden = true
  document.body.append(tip)
  const axis = (text, from, to) => {
    const [kind, low, high] = text.split(' ')
    const a = kind === 'log' ? Math.log(low) : Number(low)
    const b = kind === 'log' ? Math.log(high) : Number(high)
    return (at) => {
      const value = a + ((b - a) * (at - from)) / (to - from)
      return Number((kind === 'log' ? Math.exp(value) : value).toPrecision(3)).toLocaleString('en-US', { maximumSignificantDigits: 3 })
    }
  }
  const pointsOf = (svg) => [...svg.querySelectorAll('path[data-name]')]
    .filter((path) => getComputedStyle(path).display !== 'none')
    .flatMap((path) => [...path.getAttribute('d').matchAll(/[ML]([\\d.-]+),([\\d.-]+)/g)]
      .map(([, x, y]) => ({ x: Number(x), y: Number(y), name: path.dataset.name })))
  const show = (event) => {
    const svg = event.currentTarget
    const frame = svg.getBoundingClientRect()
    const zoom = svg.viewBox.baseVal.width / frame.width
    const x = (event.clientX - frame.left) * zoom
    const y = (event.clientY - frame.top) * zoom
    const away = (point) => Math.hypot(point.x - x, point.y - y)
    const nearest = pointsOf(svg).reduce((best, point) => (best && away(best) <= away(point) ? best : point), undefined)
    tip.hidden = nearest === undefined || away(nearest) > 40
    if (tip.hidden) return
    const [left, right, top, bottom] = svg.dataset.box.split(' ').map(Number)
    const [nameX, nameY] = svg.dataset.names.split('|')
    tip.textContent = nearest.name + '\\n' + nameX + ': ' + axis(svg.dataset.x, left, right)(nearest.x) +
      '\\n' + nameY + ': ' + axis(svg.dataset.y, bottom, top)(nearest.y)
    const place = frame.left + nearest.x / zoom
    tip.style.left = Math.min(Math.max(8, place + 12), innerWidth - tip.offsetWidth - 8) + scrollX + 'px'
    tip.style.top = frame.top + nearest.y / zoom + 12 + scrollY + 'px'
  }
  for (const svg of document.querySelectorAll('svg.plot')) {
    svg.addEventListener('pointermove', show)
    svg.addEventListener('pointerdown', show)
    svg.addEventListener('pointerleave', () => { tip.hidden = true })
  }
})()`
