/**
 * Draws what a program wrote to a terminal as an SVG. To renew the picture in the README:
 *
 *   script -qc 'switchyard chat --temperature 0' session.txt     (type, then leave with /exit)
 *   npx tsx tools/terminal-svg.ts session.txt > docs/chat.svg
 *
 * It knows the few control sequences that our own commands and Node's line editor write, and drops the others.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

interface Cell {
  readonly letter: string
  readonly isDim: boolean
}

const sequenceStart = '\u001b['
const sequenceRest = /^([\d;?]*)([A-Za-z])/

/** The lines that were on the screen in the end, without empty ones at the bottom. */
export function screenOf(output: string): Cell[][] {
  const screen = new Screen()
  let at = 0
  while (at < output.length) {
    const rest = output.startsWith(sequenceStart, at) ? output.slice(at + sequenceStart.length, at + 20) : ''
    const sequence = sequenceRest.exec(rest)
    if (sequence !== null) {
      screen.control(sequence[2]!, sequence[1]!.split(';').map(Number))
      at += sequenceStart.length + sequence[0].length
      continue
    }
    const letter = String.fromCodePoint(output.codePointAt(at)!)
    screen.write(letter)
    at += letter.length
  }
  return screen.lines()
}

class Screen {
  readonly #rows: Cell[][] = [[]]
  #row = 0
  #column = 0
  #isDim = false

  write(letter: string): void {
    if (letter === '\n') {
      this.#row += 1
      this.#rows[this.#row] ??= []
    } else if (letter === '\r') this.#column = 0
    else if (letter === '\b') this.#column = Math.max(0, this.#column - 1)
    else if (letter >= ' ') {
      const row = this.#rows[this.#row]!
      while (row.length < this.#column) row.push({ letter: ' ', isDim: false })
      row[this.#column] = { letter, isDim: this.#isDim }
      this.#column += 1
    }
  }

  control(command: string, [first = 0]: readonly number[]): void {
    const count = Math.max(1, first)
    if (command === 'm') this.#isDim = first === 2
    else if (command === 'G') this.#column = count - 1
    else if (command === 'C') this.#column += count
    else if (command === 'D') this.#column = Math.max(0, this.#column - count)
    else if (command === 'K') this.#rows[this.#row]!.splice(this.#column)
    else if (command === 'J') {
      this.#rows[this.#row]!.splice(this.#column)
      this.#rows.splice(this.#row + 1)
    }
  }

  lines(): Cell[][] {
    const last = this.#rows.findLastIndex((row) => row.some(({ letter }) => letter !== ' '))
    return this.#rows.slice(0, last + 1)
  }
}

const letterWidth = 8.4
const lineHeight = 20
const margin = 16

export function terminalSvg(output: string): string {
  const lines = screenOf(output)
  const columns = Math.max(40, ...lines.map((line) => line.length))
  const width = Math.ceil(columns * letterWidth + 2 * margin)
  const height = lines.length * lineHeight + 2 * margin
  const texts = lines.map((line, index) => {
    const y = margin + index * lineHeight + 15
    return line.length === 0
      ? ''
      : `<text x="${margin}" y="${y}" xml:space="preserve">${spans(line)}</text>\n`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#e6e6e6}.d{fill:#8b949e}</style>
<rect width="100%" height="100%" rx="8" fill="#16181d"/>
${texts.join('')}</svg>
`
}

/** Runs of letters of one look. */
function spans(line: readonly Cell[]): string {
  let text = ''
  for (let start = 0; start < line.length;) {
    const { isDim } = line[start]!
    let end = start
    while (end < line.length && line[end]!.isDim === isDim) end += 1
    const letters = line.slice(start, end).map(({ letter }) => escapes[letter] ?? letter)
    text += isDim ? `<tspan class="d">${letters.join('')}</tspan>` : letters.join('')
    start = end
  }
  return text
}

const escapes: Readonly<Record<string, string>> = { '<': '&lt;', '>': '&gt;', '&': '&amp;' }

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = process.argv[2]
  if (path === undefined) throw new Error('usage: terminal-svg.ts FILE')
  const output = readFileSync(path, 'utf8').replaceAll(/^Script (started|done).*\n?/gm, '')
  process.stdout.write(terminalSvg(output))
}
