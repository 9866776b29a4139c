/**
 * A grammar as states over bytes: each rule is a small machine whose edges take a byte, take nothing, or call another
 * rule and go on behind it (a recursive transition network). Its size is bounded, whoever wrote the grammar; what can
 * never come to an end is cut off, so that a matcher gets into no dead end.
 */
import { grammarError } from './grammar-error.ts'
import { findLeftRecursion, productiveStates } from './automaton-analysis.ts'
import type { Grammar, GrammarNode } from './node.ts'
import { specialPiece } from './special-piece.ts'
import { utf8Bytes, utf8Sequences } from './utf8.ts'

export interface AutomatonState {
  readonly bytes: ByteEdge[]
  /** States to be in as well. */
  readonly also: number[]
  readonly calls: CallEdge[]
}

export interface ByteEdge {
  readonly from: number
  readonly to: number
  readonly target: number
}

export interface CallEdge {
  /** Index of the rule. */
  readonly rule: number
  /** Where it goes on. */
  readonly target: number
}

export interface RuleStates {
  readonly name: string
  readonly start: number
  /** Being here, the rule has matched. It has no edges. */
  readonly end: number
}

export interface Automaton {
  readonly states: readonly AutomatonState[]
  readonly rules: readonly RuleStates[]
  /** Index of the rule that matches a whole text. */
  readonly root: number
}

/** Most states of a grammar: about 50 bytes each. */
const maxStates = 200_000
/** A text of more characters than this fits into no context: longer optional repetitions are as good as this. */
const maxRepeats = 65_536
/** Parts that are repeated more often than this become rules of their own: a repetition then costs one state. */
const inlineRepeats = 2
const maxDepth = 200

/** @throws {ServingError} INVALID_REQUEST for a grammar that is too large, left-recursive or matches nothing. */
export function buildAutomaton(grammar: Grammar): Automaton {
  const automaton = new Builder(grammar).build()
  const recursive = findLeftRecursion(automaton)
  if (recursive !== undefined) {
    throw grammarError(`the rule ${recursive} refers to itself before it matches anything`)
  }
  const productive = productiveStates(automaton)
  if (!productive[automaton.rules[automaton.root]!.start]) throw grammarError('nothing matches it')
  for (const { bytes, also, calls } of automaton.states) {
    keep(bytes, ({ target }) => productive[target]!)
    keep(also, (target) => productive[target]!)
    keep(calls, ({ rule, target }) => productive[target]! && productive[automaton.rules[rule]!.start]!)
  }
  return automaton
}

function keep<T>(list: T[], test: (element: T) => boolean): void {
  if (list.every(test)) return
  list.splice(0, list.length, ...list.filter(test))
}

class Builder {
  readonly #grammar: Grammar
  readonly #states: AutomatonState[] = []
  readonly #rules: RuleStates[] = []
  readonly #byName = new Map<string, number>()
  readonly #byNode = new Map<GrammarNode, number>()
  /** Rules whose insides are still to be built. */
  readonly #open: { readonly index: number; readonly node: GrammarNode }[] = []

  constructor(grammar: Grammar) {
    this.#grammar = grammar
  }

  build(): Automaton {
    const root = this.#declare('root', this.#grammar.root)
    for (let next = this.#open.pop(); next !== undefined; next = this.#open.pop()) {
      const { start, end } = this.#rules[next.index]!
      this.#states[this.#emit(next.node, start, 0)]!.also.push(end)
    }
    return { states: this.#states, rules: this.#rules, root }
  }

  #declare(name: string, node: GrammarNode): number {
    const index = this.#rules.length
    this.#rules.push({ name, start: this.#newState(), end: this.#newState() })
    this.#open.push({ index, node })
    return index
  }

  #newState(): number {
    if (this.#states.length >= maxStates) throw grammarError('it is too large')
    this.#states.push({ bytes: [], also: [], calls: [] })
    return this.#states.length - 1
  }

  /** Adds what matches `node` behind the state `from`, and says where that ends. */
  #emit(node: GrammarNode, from: number, depth: number): number {
    if (depth > maxDepth) throw grammarError('it is nested too deeply')
    switch (node.kind) {
      case 'text':
        return utf8Bytes(node.text).reduce((at, byte) => this.#byte(at, byte, byte), from)
      case 'special':
        return specialPiece(node.text).reduce((at, byte) => this.#byte(at, byte, byte), from)
      case 'character':
        return this.#character(node.set, from)
      case 'sequence':
        return node.parts.reduce((at, part) => this.#emit(part, at, depth + 1), from)
      case 'choice': {
        const end = this.#newState()
        for (const option of node.options) {
          const start = this.#newState()
          this.#states[from]!.also.push(start)
          this.#states[this.#emit(option, start, depth + 1)]!.also.push(end)
        }
        return end
      }
      case 'repeat':
        return this.#repeat(node, from, depth + 1)
      case 'rule':
        return this.#call(this.#ruleNamed(node.name), from)
      default:
        return node satisfies never
    }
  }

  #byte(at: number, from: number, to: number, target: number = this.#newState()): number {
    this.#states[at]!.bytes.push({ from, to, target })
    return target
  }

  #character(set: Extract<GrammarNode, { kind: 'character' }>['set'], from: number): number {
    const end = this.#newState()
    for (const bytes of utf8Sequences(set)) {
      let at = from
      for (const [index, [low, high]] of bytes.entries()) {
        at = index === bytes.length - 1 ? this.#byte(at, low, high, end) : this.#shared(at, low, high)
      }
    }
    return end
  }

  /** Encodings that begin with the same range go the same way. */
  #shared(at: number, from: number, to: number): number {
    const same = this.#states[at]!.bytes.at(-1)
    if (same !== undefined && same.from === from && same.to === to) return same.target
    return this.#byte(at, from, to)
  }

  #repeat({ part, min, max }: Extract<GrammarNode, { kind: 'repeat' }>, from: number, depth: number): number {
    if (min > maxRepeats) throw grammarError(`${min} repetitions are more than fit into a text`)
    if (max < min) throw grammarError(`at least ${min} and at most ${max} exclude each other`)
    const isLarge = Math.max(min, Number.isFinite(max) ? max : 1) > inlineRepeats
    const once = (at: number): number =>
      isLarge ? this.#call(this.#ruleOf(part), at) : this.#emit(part, at, depth)
    let at = from
    for (let count = 0; count < min; count += 1) at = once(at)
    if (max === Infinity) {
      const loop = this.#newState()
      this.#states[at]!.also.push(loop)
      this.#states[once(loop)]!.also.push(loop)
      return loop
    }
    const end = this.#newState()
    for (let count = min; count < Math.min(max, maxRepeats); count += 1) {
      this.#states[at]!.also.push(end)
      at = once(at)
    }
    this.#states[at]!.also.push(end)
    return end
  }

  #call(rule: number, from: number): number {
    const target = this.#newState()
    this.#states[from]!.calls.push({ rule, target })
    return target
  }

  #ruleNamed(name: string): number {
    const known = this.#byName.get(name)
    if (known !== undefined) return known
    const node = this.#grammar.rules.get(name)
    if (node === undefined) throw grammarError(`there is no rule ${name}`)
    const index = this.#declare(name, node)
    this.#byName.set(name, index)
    return index
  }

  #ruleOf(node: GrammarNode): number {
    if (node.kind === 'rule') return this.#ruleNamed(node.name)
    let index = this.#byNode.get(node)
    if (index === undefined) {
      index = this.#declare('of a repetition', node)
      this.#byNode.set(node, index)
    }
    return index
  }
}
