/**
 * A grammar as a tree: what every notation (JSON schema, regular expression, GBNF) is translated to, and what
 * `automaton.ts` compiles. Terminals are code points; bytes come later.
 */
import type { CodePointSet } from './code-points.ts'

export type GrammarNode =
  | { readonly kind: 'text'; readonly text: string }
  /** The special token of this text (see `special-piece.ts`). */
  | { readonly kind: 'special'; readonly text: string }
  /** One character of the set; the empty set matches nothing. */
  | { readonly kind: 'character'; readonly set: CodePointSet }
  | { readonly kind: 'sequence'; readonly parts: readonly GrammarNode[] }
  /** Without options it matches nothing. */
  | { readonly kind: 'choice'; readonly options: readonly GrammarNode[] }
  /** `max` may be Infinity. */
  | { readonly kind: 'repeat'; readonly part: GrammarNode; readonly min: number; readonly max: number }
  | { readonly kind: 'rule'; readonly name: string }

/** Rules by name, and where a text starts. Rules may be recursive, but not on their left. */
export interface Grammar {
  readonly rules: ReadonlyMap<string, GrammarNode>
  readonly root: GrammarNode
}

export const empty: GrammarNode = { kind: 'text', text: '' }
export const nothing: GrammarNode = { kind: 'choice', options: [] }

export function text(value: string): GrammarNode {
  return { kind: 'text', text: value }
}

/** A text, spelled or as the special token that stands for it. */
export function marker(value: string): GrammarNode {
  return choice([text(value), { kind: 'special', text: value }])
}

export function character(set: CodePointSet): GrammarNode {
  return { kind: 'character', set }
}

export function sequence(...parts: readonly GrammarNode[]): GrammarNode {
  return parts.length === 1 ? parts[0]! : { kind: 'sequence', parts }
}

export function choice(options: readonly GrammarNode[]): GrammarNode {
  return options.length === 1 ? options[0]! : { kind: 'choice', options }
}

/** One of many texts: what they begin with alike is there once, so that few ways are open at a time. */
export function oneOf(texts: readonly string[]): GrammarNode {
  const byFirst = new Map<string, Set<string>>()
  for (const one of texts) {
    const first = one.codePointAt(0)
    const key = first === undefined ? '' : String.fromCodePoint(first)
    byFirst.set(key, (byFirst.get(key) ?? new Set()).add(one))
  }
  const options = [...byFirst.values()].map((alike) => {
    const [first = '', ...others] = alike
    if (others.length === 0) return text(first)
    const start = others.reduce(commonStart, first)
    return sequence(text(start), oneOf([...alike].map((one) => one.slice(start.length))))
  })
  return choice(options)
}

function commonStart(a: string, b: string): string {
  let start = ''
  for (const character of a) {
    if (!b.startsWith(start + character)) break
    start += character
  }
  return start
}

export function repeat(part: GrammarNode, min: number, max = Infinity): GrammarNode {
  return { kind: 'repeat', part, min, max }
}

export function optional(part: GrammarNode): GrammarNode {
  return repeat(part, 0, 1)
}

export function rule(name: string): GrammarNode {
  return { kind: 'rule', name }
}
