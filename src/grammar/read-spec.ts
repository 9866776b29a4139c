/** From what a request asks for to a grammar. Pure, so that whoever takes a request can refuse it at once. */
import type { GrammarSpec } from '../core/grammar-spec.ts'
import { buildAutomaton } from './automaton.ts'
import { parseGbnf } from './gbnf-parser.ts'
import { grammarError } from './grammar-error.ts'
import { choice, marker, oneOf, repeat, rule, sequence, type Grammar, type GrammarNode } from './node.ts'
import { wholeTextRegex } from './regex-parser.ts'
import { anyObjectSchema, schemaGrammar } from './schema/json-schema.ts'
import { freeNode } from './free-text.ts'

const maxNesting = 20

/** @throws {ServingError} INVALID_REQUEST for what cannot be kept to, naming it. */
export function readSpec(spec: GrammarSpec): Grammar {
  const rules = new Map<string, GrammarNode>()
  return { rules, root: nodeOf(spec, rules, 0) }
}

/** @throws {ServingError} INVALID_REQUEST for what cannot be kept to, naming it. */
export function checkSpec(spec: GrammarSpec): void {
  buildAutomaton(readSpec(spec))
}

function nodeOf(spec: GrammarSpec, rules: Map<string, GrammarNode>, depth: number): GrammarNode {
  if (depth > maxNesting) throw grammarError('the grammar is nested too deeply')
  const nested = (part: GrammarSpec): GrammarNode => nodeOf(part, rules, depth + 1)
  switch (spec.kind) {
    case 'jsonObject':
      return embed(schemaGrammar(anyObjectSchema), rules)
    case 'jsonSchema':
      return embed(schemaGrammar(spec.schema), rules)
    case 'regex':
      return wholeTextRegex(spec.pattern)
    case 'choice':
      return oneOf(spec.options)
    case 'gbnf':
      return embed(parseGbnf(spec.source), rules)
    case 'marker':
      return marker(spec.text)
    case 'until':
    case 'without':
      return freeNode(spec, rules)
    case 'sequence':
      return sequence(...spec.parts.map(nested))
    case 'anyOf':
      return choice(spec.options.map(nested))
    case 'repeat':
      return repeat(nested(spec.part), spec.min, spec.max)
    default:
      return spec satisfies never
  }
}

/** Takes over a grammar's rules under names of their own. */
function embed(grammar: Grammar, rules: Map<string, GrammarNode>): GrammarNode {
  if (rules.size === 0) {
    for (const [name, node] of grammar.rules) rules.set(name, node)
    return grammar.root
  }
  const prefix = `${rules.size}:`
  const renamed = new Map<GrammarNode, GrammarNode>()
  for (const [name, node] of grammar.rules) rules.set(prefix + name, withPrefix(node, prefix, renamed))
  return withPrefix(grammar.root, prefix, renamed)
}

/** Nodes that were the same stay the same. */
function withPrefix(node: GrammarNode, prefix: string, renamed: Map<GrammarNode, GrammarNode>): GrammarNode {
  const known = renamed.get(node)
  if (known !== undefined) return known
  const result = withNewNames(node, (part) => withPrefix(part, prefix, renamed), prefix)
  renamed.set(node, result)
  return result
}

function withNewNames(
  node: GrammarNode,
  inner: (part: GrammarNode) => GrammarNode,
  prefix: string,
): GrammarNode {
  switch (node.kind) {
    case 'text':
    case 'special':
    case 'character':
      return node
    case 'sequence':
      return { kind: 'sequence', parts: node.parts.map(inner) }
    case 'choice':
      return { kind: 'choice', options: node.options.map(inner) }
    case 'repeat':
      return { ...node, part: inner(node.part) }
    case 'rule':
      return rule(prefix + node.name)
    default:
      return node satisfies never
  }
}
