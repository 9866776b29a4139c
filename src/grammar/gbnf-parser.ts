/**
 * GBNF, llama.cpp's notation of grammars (`grammars/README.md` there). Of XGrammar's EBNF, which vLLM takes, it reads
 * what both have in common. Tokens by number or name (`<[12]>`) and lookahead are refused.
 */
import { codePoints, complement, union, type CodePointSet } from './code-points.ts'
import { grammarError } from './grammar-error.ts'
import { character, choice, repeat, rule, sequence, text, type Grammar, type GrammarNode } from './node.ts'

const controls: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, '0': 0 }
const hexLengths: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }
const maxDepth = 100
const maxLength = 200_000

/** @throws {ServingError} INVALID_REQUEST saying in which line what is wrong. */
export function parseGbnf(source: string): Grammar {
  if (source.length > maxLength) throw grammarError('the grammar is too long')
  return new GbnfParser(source).parse()
}

class GbnfParser {
  readonly #source: string
  #at = 0
  #depth = 0

  constructor(source: string) {
    this.#source = source
  }

  parse(): Grammar {
    const rules = new Map<string, GrammarNode>()
    const used = new Map<string, number>()
    for (this.#skip(true); this.#at < this.#source.length; this.#skip(true)) {
      const name = this.#name()
      this.#skip(false)
      if (!this.#take('::=')) throw this.#error("expected '::='")
      this.#skip(true)
      if (rules.has(name)) throw this.#error(`the rule ${name} is there already`)
      rules.set(name, this.#alternatives(used))
      if (this.#at < this.#source.length && !/[\r\n]/.test(this.#peek())) {
        throw this.#error(`unexpected '${this.#peek()}'`)
      }
    }
    for (const [name, at] of used) {
      if (!rules.has(name)) throw this.#error(`there is no rule ${name}`, at)
    }
    const root = rules.get('root')
    if (root === undefined) throw grammarError('the grammar has no rule root')
    return { rules, root: rule('root') }
  }

  #alternatives(used: Map<string, number>): GrammarNode {
    const options: GrammarNode[] = []
    do {
      this.#skip(true)
      options.push(this.#sequence(used))
    } while (this.#take('|'))
    return choice(options)
  }

  #sequence(used: Map<string, number>): GrammarNode {
    const parts: GrammarNode[] = []
    for (;;) {
      const part = this.#item(used)
      if (part === undefined) return sequence(...parts)
      parts.push(this.#quantified(part))
      this.#skip(this.#depth > 0)
      this.#skipToBar()
    }
  }

  /** An alternative may go on in the next line: that is known by the bar there. */
  #skipToBar(): void {
    const before = this.#at
    this.#skip(true)
    if (this.#peek() !== '|') this.#at = before
  }

  #item(used: Map<string, number>): GrammarNode | undefined {
    const next = this.#peek()
    if (next === '"' || next === "'") return this.#text(next)
    if (next === '[') return character(this.#characterClass())
    if (next === '(') return this.#group(used)
    if (next === '.') {
      this.#at += 1
      return character(complement([]))
    }
    if (next === '<') throw this.#error('tokens by number or name are not supported')
    if (!/[a-zA-Z0-9_]/.test(next)) return undefined
    const at = this.#at
    const name = this.#name()
    if (!used.has(name)) used.set(name, at)
    return rule(name)
  }

  #group(used: Map<string, number>): GrammarNode {
    this.#at += 1
    this.#depth += 1
    if (this.#depth > maxDepth) throw this.#error('groups are nested too deeply')
    if (this.#peek() === '=') throw this.#error('lookahead is not supported')
    const inside = this.#alternatives(used)
    this.#skip(true)
    if (!this.#take(')')) throw this.#error("expected ')'")
    this.#depth -= 1
    return inside
  }

  #quantified(part: GrammarNode): GrammarNode {
    let node = part
    for (;;) {
      const before = this.#at
      this.#skip(this.#depth > 0)
      const range = this.#quantifier()
      if (range === undefined) {
        this.#at = before
        return node
      }
      node = repeat(node, range[0], range[1])
    }
  }

  #quantifier(): readonly [number, number] | undefined {
    if (this.#take('*')) return [0, Infinity]
    if (this.#take('+')) return [1, Infinity]
    if (this.#take('?')) return [0, 1]
    if (this.#peek() !== '{') return undefined
    const match = /^\{\s*(\d{1,9})?\s*(,)?\s*(\d{1,9})?\s*\}/.exec(
      this.#source.slice(this.#at, this.#at + 64),
    )
    if (match === null || (match[1] === undefined && match[3] === undefined)) {
      throw this.#error('expected a number of repetitions')
    }
    this.#at += match[0].length
    const min = Number(match[1] ?? 0)
    const max = match[2] === undefined ? min : Number(match[3] ?? Infinity)
    if (max < min) throw this.#error(`${match[0]} is out of order`)
    return [min, max]
  }

  #text(quote: string): GrammarNode {
    this.#at += 1
    let value = ''
    while (this.#peek() !== quote) value += String.fromCodePoint(this.#codePoint())
    this.#at += 1
    return text(value)
  }

  #characterClass(): CodePointSet {
    this.#at += 1
    const isNegated = this.#take('^')
    let set: CodePointSet = []
    while (this.#peek() !== ']') {
      const from = this.#codePoint()
      const isRange = this.#peek() === '-' && this.#source[this.#at + 1] !== ']'
      if (isRange) this.#at += 1
      const to = isRange ? this.#codePoint() : from
      if (to < from) throw this.#error('a range out of order')
      set = union(set, codePoints([from, to]))
    }
    this.#at += 1
    return isNegated ? complement(set) : set
  }

  #codePoint(): number {
    const codePoint = this.#source.codePointAt(this.#at)
    if (codePoint === undefined || codePoint === 10) throw this.#error('it ends too early')
    this.#at += codePoint > 0xffff ? 2 : 1
    return codePoint === 0x5c ? this.#escape() : codePoint
  }

  #escape(): number {
    const letter = this.#peek()
    this.#at += 1
    const control = controls[letter]
    if (control !== undefined) return control
    const length = hexLengths[letter]
    if (length === undefined) {
      if ('\\"\'[]-^/'.includes(letter) && letter !== '') return letter.charCodeAt(0)
      throw this.#error(`the escape \\${letter} is not supported`)
    }
    const written = this.#source.slice(this.#at, this.#at + length)
    const value =
      /^[0-9a-fA-F]+$/.test(written) && written.length === length ? Number.parseInt(written, 16) : -1
    if (value < 0 || value > 0x10ffff) throw this.#error('a bad escape')
    this.#at += length
    return value
  }

  #name(): string {
    const match = /^[a-zA-Z0-9_][a-zA-Z0-9_-]*/.exec(this.#source.slice(this.#at, this.#at + 256))
    if (match === null) throw this.#error('expected the name of a rule')
    this.#at += match[0].length
    return match[0]
  }

  /** Spaces and comments, and also ends of lines. */
  #skip(newlines: boolean): void {
    for (;;) {
      const next = this.#peek()
      if (next === '#') while (this.#at < this.#source.length && !/[\r\n]/.test(this.#peek())) this.#at += 1
      else if (next === ' ' || next === '\t' || (newlines && (next === '\n' || next === '\r'))) this.#at += 1
      else return
    }
  }

  /** Empty at the end. */
  #peek(): string {
    return this.#source[this.#at] ?? ''
  }

  #take(wanted: string): boolean {
    if (!this.#source.startsWith(wanted, this.#at)) return false
    this.#at += wanted.length
    return true
  }

  #error(what: string, at: number = this.#at) {
    const line = this.#source.slice(0, at).split('\n').length
    return grammarError(`the grammar, line ${line}: ${what}`)
  }
}
