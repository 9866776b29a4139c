/** Objects and arrays of a JSON schema. */
import { codePointsOf, difference } from '../code-points.ts'
import {
  character,
  choice,
  empty,
  nothing,
  optional,
  repeat,
  rule,
  sequence,
  text,
  type GrammarNode,
} from '../node.ts'
import { plainCharacters, plainString } from './json-text.ts'
import { keywordError } from './keywords.ts'
import type { PlainSchema, SubSchema } from './plain-schema.ts'

/** What makes nodes of the schemas within. */
export interface NodeBuilder {
  convert(schema: SubSchema, path: string): GrammarNode
  share(node: GrammarNode): GrammarNode
}

const space = rule('space')
const comma = sequence(text(','), space)

/** Properties in the order of the schema, then others if it asks for them. */
export function objectNode(builder: NodeBuilder, schema: PlainSchema, path: string): GrammarNode {
  const { properties, required } = schema
  // A list of properties with nothing said of others is meant to be complete.
  const additional = schema.additional ?? !schema.listsProperties
  const listed = new Map(properties)
  for (const key of required) if (!listed.has(key)) listed.set(key, schema.additional ?? true)
  const others = otherMembers(builder, [...listed.keys()], additional, `${path}/additionalProperties`)
  /** What may follow behind a member, and what may stand first; from the last property to the first. */
  let behind: GrammarNode = others === undefined ? empty : repeat(sequence(comma, others), 0)
  let first: GrammarNode = others === undefined ? empty : optional(sequence(others, behind))
  for (const [key, value] of [...listed].toReversed()) {
    const isRequired = required.has(key)
    const node = builder.convert(value, `${path}/properties/${key}`)
    if (isRequired && isImpossible(node))
      throw keywordError('required', path, `names '${key}', which nothing matches`)
    const member = builder.share(sequence(text(`${JSON.stringify(key)}:`), space, node))
    const rest = behind === empty ? empty : builder.share(behind)
    behind = choice([sequence(comma, member, rest), ...(isRequired ? [] : [rest])])
    first = choice([
      sequence(member, rest),
      ...(isRequired ? [] : [first === empty ? empty : builder.share(first)]),
    ])
  }
  return sequence(text('{'), space, first, space, text('}'))
}

function isImpossible(node: GrammarNode): boolean {
  return node.kind === 'choice' && node.options.length === 0
}

/** Members that are not listed; undefined when there are none. */
function otherMembers(
  builder: NodeBuilder,
  keys: readonly string[],
  additional: SubSchema,
  path: string,
): GrammarNode | undefined {
  if (additional === false) return undefined
  const value = builder.convert(additional, path)
  return builder.share(sequence(plainString(otherThan(builder, keys)), text(':'), space, value))
}

/**
 * Strings in plain characters other than these: a listed property must not come twice, and what has escapes is none
 * of them.
 */
function otherThan(builder: NodeBuilder, texts: readonly string[]): GrammarNode {
  const anything = builder.share(repeat(character(plainCharacters), 0))
  const build = (rests: readonly string[]): GrammarNode => {
    const byFirst = new Map<string, string[]>()
    for (const rest of rests) {
      const [first] = rest
      if (first === undefined) continue
      byFirst.set(first, [...(byFirst.get(first) ?? []), rest.slice(first.length)])
    }
    const differently = character(difference(plainCharacters, codePointsOf([...byFirst.keys()].join(''))))
    const alike = [...byFirst].map(([first, behind]) => sequence(text(first), build(behind)))
    const canEnd = !rests.includes('')
    return choice([sequence(differently, anything), ...alike, ...(canEnd ? [empty] : [])])
  }
  const isPlain = (value: string): boolean => JSON.stringify(value) === `"${value}"`
  return texts.length === 0 ? anything : build(texts.filter(isPlain))
}

/** All that the schema lists in the first places, then others up to its limits. */
export function arrayNode(builder: NodeBuilder, schema: PlainSchema, path: string): GrammarNode {
  const { minItems, maxItems, prefixItems } = schema
  if (maxItems < minItems) return nothing
  const fixed = prefixItems
    .slice(0, maxItems)
    .map((item, index) => builder.convert(item, `${path}/prefixItems/${index}`))
  // As with properties: a list of places with nothing said of others is meant to be complete, if it may be.
  const items = schema.items ?? (fixed.length === 0 || minItems > fixed.length)
  const item = items === false ? nothing : builder.share(builder.convert(items, `${path}/items`))
  const min = Math.max(0, minItems - fixed.length)
  const max = items === false ? 0 : maxItems - fixed.length
  if (min > max) return nothing
  return sequence(text('['), space, arrayItems(fixed, item, [min, max]), space, text(']'))
}

/** `fixed`, and behind it `min` to `max` times `item`. */
function arrayItems(
  fixed: readonly GrammarNode[],
  item: GrammarNode,
  [min, max]: readonly [number, number],
): GrammarNode {
  const next = sequence(comma, item)
  if (fixed.length > 0)
    return sequence(
      ...fixed.flatMap((node, index) => (index === 0 ? [node] : [comma, node])),
      repeat(next, min, max),
    )
  if (max === 0) return empty
  const some = sequence(item, repeat(next, Math.max(0, min - 1), max - 1))
  return min === 0 ? optional(some) : some
}
