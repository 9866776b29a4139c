/**
 * Regular expressions in the common part of ECMAScript's (flag `u`) and Python's notation: what decides the set of
 * matching texts. Lazy quantifiers match the same texts as greedy ones. Not regular, and refused: look-around, word
 * boundaries, back references.
 */
import { anyCodePoint, codePoints, complement, difference, union, type CodePointSet } from './code-points.ts'
import { grammarError } from './grammar-error.ts'
import { character, choice, repeat, sequence, text, type GrammarNode } from './node.ts'

const newlines = codePoints([0x0a, 0x0a], [0x0d, 0x0d], [0x2028, 0x2029])
const digits = codePoints([0x30, 0x39])
const words = codePoints([0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a])
const spaces = codePoints(
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
)
const classes: Readonly<Record<string, CodePointSet>> = {
  d: digits,
  w: words,
  s: spaces,
  D: complement(digits),
  W: complement(words),
  S: complement(spaces),
}
const controls: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, '0': 0 }
const maxDepth = 100
const maxLength = 20_000

/** A pattern, and whether it says itself that it stands at the beginning and at the end of a text. */
export interface ParsedRegex {
  readonly alternatives: readonly RegexAlternative[]
}

export interface RegexAlternative {
  readonly node: GrammarNode
  readonly startsText: boolean
  readonly endsText: boolean
}

/** All of a text matches the pattern. @throws {ServingError} INVALID_REQUEST. */
export function wholeTextRegex(pattern: string): GrammarNode {
  return choice(parseRegex(pattern).alternatives.map(({ node }) => node))
}

/** Some of a text matches the pattern, as JSON schemas mean it. @throws {ServingError} INVALID_REQUEST. */
export function searchRegex(pattern: string): GrammarNode {
  const anything = repeat(character(anyCodePoint()), 0)
  return choice(
    parseRegex(pattern).alternatives.map(({ node, startsText, endsText }) =>
      sequence(...(startsText ? [] : [anything]), node, ...(endsText ? [] : [anything])),
    ),
  )
}

/** @throws {ServingError} INVALID_REQUEST saying what of it is wrong or not supported. */
function parseRegex(pattern: string): ParsedRegex {
  if (pattern.length > maxLength) throw grammarError('the pattern is too long')
  return new RegexParser(pattern).parse()
}

class RegexParser {
  readonly #pattern: string
  readonly #characters: readonly string[]
  #at = 0
  #depth = 0

  constructor(pattern: string) {
    this.#pattern = pattern
    this.#characters = [...pattern]
  }

  parse(): ParsedRegex {
    const alternatives: RegexAlternative[] = []
    do alternatives.push(this.#topAlternative())
    while (this.#take('|'))
    if (this.#at < this.#characters.length) throw this.#error(`unexpected '${this.#peek()}'`)
    return { alternatives }
  }

  #topAlternative(): RegexAlternative {
    const startsText = this.#take('^')
    const node = this.#sequence()
    const endsText = this.#take('$')
    return { node, startsText, endsText }
  }

  #alternatives(): GrammarNode {
    const options: GrammarNode[] = []
    do options.push(this.#sequence())
    while (this.#take('|'))
    return choice(options)
  }

  #sequence(): GrammarNode {
    const parts: GrammarNode[] = []
    for (;;) {
      const next = this.#peek()
      if (next === undefined || next === '|' || next === ')' || next === '$') break
      parts.push(this.#quantified())
    }
    return sequence(...parts)
  }

  #quantified(): GrammarNode {
    const part = this.#atom()
    const range = this.#quantifier()
    if (range === undefined) return part
    this.#take('?')
    if (this.#quantifier() !== undefined) throw this.#error('nothing to repeat')
    return repeat(part, range[0], range[1])
  }

  #quantifier(): readonly [number, number] | undefined {
    if (this.#take('*')) return [0, Infinity]
    if (this.#take('+')) return [1, Infinity]
    if (this.#take('?')) return [0, 1]
    if (this.#peek() !== '{') return undefined
    const end = this.#characters.indexOf('}', this.#at)
    const body = end < 0 ? '' : this.#characters.slice(this.#at + 1, end).join('')
    const match = /^(\d{1,9})(,(\d{1,9})?)?$/.exec(body)
    if (match === null) throw this.#error("'{' without a number of repetitions")
    this.#at = end + 1
    const min = Number(match[1])
    const max = match[2] === undefined ? min : match[3] === undefined ? Infinity : Number(match[3])
    if (max < min) throw this.#error(`{${body}} is out of order`)
    return [min, max]
  }

  #atom(): GrammarNode {
    const next = this.#next()
    switch (next) {
      case '(':
        return this.#group()
      case '[':
        return character(this.#characterClass())
      case '.':
        return character(complement(newlines))
      case '\\':
        return this.#escape()
      case '^':
        throw this.#error("'^' is supported at the beginning only")
      case '*':
      case '+':
      case '?':
      case '{':
        throw this.#error('nothing to repeat')
      default:
        return text(next)
    }
  }

  #group(): GrammarNode {
    this.#depth += 1
    if (this.#depth > maxDepth) throw this.#error('groups are nested too deeply')
    if (this.#take('?')) this.#groupKind()
    const inside = this.#alternatives()
    if (this.#peek() === '$') throw this.#error("'$' is supported at the end only")
    if (!this.#take(')')) throw this.#error("')' is missing")
    this.#depth -= 1
    return inside
  }

  #groupKind(): void {
    if (this.#take(':')) return
    this.#take('P')
    const isName = this.#take('<') && this.#peek() !== '=' && this.#peek() !== '!'
    if (!isName) throw this.#error('look-around and flags are not supported')
    while (this.#next() !== '>') continue
  }

  #escape(): GrammarNode {
    const letter = this.#next()
    if (letter === 'b' || letter === 'B') throw this.#error('word boundaries are not supported')
    if (/[1-9k]/.test(letter)) throw this.#error('back references are not supported')
    return character(this.#escapedSet(letter))
  }

  #escapedSet(letter: string): CodePointSet {
    const set = classes[letter]
    if (set !== undefined) return set
    if (letter === 'p' || letter === 'P') throw this.#error('Unicode properties are not supported')
    const codePoint = this.#escapedCodePoint(letter)
    return codePoints([codePoint, codePoint])
  }

  #escapedCodePoint(letter: string): number {
    const control = controls[letter]
    if (control !== undefined) return control
    if (letter === 'x') return this.#hex(2)
    if (letter === 'c') return this.#next().codePointAt(0)! % 32
    if (letter === 'u') {
      if (!this.#take('{')) return this.#surrogatePair(this.#hex(4))
      const end = this.#characters.indexOf('}', this.#at)
      const value = this.#hex(Math.max(1, end - this.#at))
      this.#at += 1
      if (value > 0x10ffff) throw this.#error('a character beyond Unicode')
      return value
    }
    if (/[a-zA-Z0-9]/.test(letter)) throw this.#error(`\\${letter} is not supported`)
    return letter.codePointAt(0)!
  }

  /** Characters beyond 16 bits are written as two halves. */
  #surrogatePair(first: number): number {
    const rest = this.#characters.slice(this.#at, this.#at + 6).join('')
    const second = /^\\u([dD][c-fC-F][0-9a-fA-F]{2})$/.exec(rest)
    if (first < 0xd800 || first > 0xdbff || second === null) return first
    this.#at += 6
    return 0x10000 + (first - 0xd800) * 0x400 + (Number.parseInt(second[1]!, 16) - 0xdc00)
  }

  #hex(length: number): number {
    const written = this.#characters.slice(this.#at, this.#at + length).join('')
    if (written.length !== length || !/^[0-9a-fA-F]+$/.test(written)) throw this.#error('a bad escape')
    this.#at += length
    return Number.parseInt(written, 16)
  }

  #characterClass(): CodePointSet {
    const isNegated = this.#take('^')
    let set: CodePointSet = []
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      // Python takes a bracket in the first place for itself, ECMAScript for the end: nobody means either.
      if (this.#peek() === ']') throw this.#error('an empty class')
      const from = this.#classMember()
      const isRange = this.#peek() === '-' && this.#characters[this.#at + 1] !== ']'
      set = union(set, isRange ? this.#range(from) : from)
    }
    this.#at += 1
    return isNegated ? complement(set) : difference(set, [])
  }

  #range(from: CodePointSet): CodePointSet {
    this.#at += 1
    const to = this.#classMember()
    const low = single(from)
    const high = single(to)
    if (low === undefined || high === undefined || high < low) throw this.#error('a range out of order')
    return codePoints([low, high])
  }

  #classMember(): CodePointSet {
    const next = this.#next()
    if (next === '\\') {
      const letter = this.#next()
      return letter === 'b' ? codePoints([8, 8]) : this.#escapedSet(letter)
    }
    const codePoint = next.codePointAt(0)!
    return codePoints([codePoint, codePoint])
  }

  #peek(): string | undefined {
    return this.#characters[this.#at]
  }

  #take(wanted: string): boolean {
    if (this.#characters[this.#at] !== wanted) return false
    this.#at += 1
    return true
  }

  #next(): string {
    const next = this.#characters[this.#at]
    if (next === undefined) throw this.#error('it ends too early')
    this.#at += 1
    return next
  }

  #error(what: string) {
    const pattern = this.#pattern.length > 80 ? `${this.#pattern.slice(0, 80)}…` : this.#pattern
    return grammarError(`the regular expression ${pattern}: ${what}`)
  }
}

/** The only character of a set. */
function single(set: CodePointSet): number | undefined {
  return set.length === 1 && set[0]![0] === set[0]![1] ? set[0]![0] : undefined
}
