import { expect, it } from 'vitest'
import { screenOf, terminalSvg } from './terminal-svg.ts'

const textOf = (output: string) => screenOf(output).map((line) => line.map(({ letter }) => letter).join(''))

it('shows the line as it was after editing', () => {
  expect(textOf('\u001b[1G\u001b[0J> \u001b[3Ghallo\u001b[1G\u001b[0J> hello\u001b[8G\r\nfine\r\n')).toEqual([
    '> hello',
    'fine',
  ])
})

it('wipes a progress bar that was wiped, and keeps letters outside the basic plane whole', () => {
  expect(textOf('\r\u001b[KLoading 50%\r\u001b[K🎉 a\bb\n')).toEqual(['🎉 b'])
})

it('draws faint text in its own colour and escapes what XML reserves', () => {
  const svg = terminalSvg('> \u001b[2m3 < 4 & 5\u001b[22m ok\n')
  expect(svg).toContain('&gt; <tspan class="d">3 &lt; 4 &amp; 5</tspan> ok</text>')
})
