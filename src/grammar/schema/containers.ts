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
import { searchRegex } from '../regex-parser.ts'
import { literal, plainCharacters, plainString, stringMatching } from './json-text.ts'
import { keywordError } from './keywords.ts'
import type { PlainSchema, SubSchema } from './plain-schema.ts'

/** What makes nodes of the schemas within. */
export interface NodeBuilder {
  convert(schema: SubSchema, path: string): GrammarNode
  share(node: GrammarNode): GrammarNode
  /** All values of a schema that lists them; undefined where it does not. */
  valuesOf(schema: SubSchema, path: string): readonly unknown[] | undefined
}

const space = rule('space')
const comma = sequence(text(','), space)

/** Properties in the order of the schema, then others if it asks for them. */
export function objectNode(builder: NodeBuilder, schema: PlainSchema, path: string): GrammarNode {
  const { properties, required } = schema
  const pattern = keyPattern(schema, path)
  // A list of properties with nothing said of others is meant to be complete.
  const additional = schema.additional ?? (!schema.listsProperties && pattern === undefined)
  const listed = new Map(properties)
  for (const key of required) {
    if (listed.has(key)) continue
    listed.set(key, pattern?.fits(key) === true ? pattern.value : (schema.additional ?? true))
  }
  const others =
    pattern === undefined
      ? otherMembers(builder, [...listed.keys()], additional, `${path}/additionalProperties`)
      : patternMember(builder, pattern, path)
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

interface KeyPattern {
  readonly source: string
  readonly value: SubSchema
  fits(key: string): boolean
}

/** What the names of further properties match: then there are no others. */
function keyPattern(
  { patternProperties, properties, additional }: PlainSchema,
  path: string,
): KeyPattern | undefined {
  const refuse = (why: string) => keywordError('patternProperties', path, why)
  const [first, second] = patternProperties
  if (first === undefined) return undefined
  if (second !== undefined) throw refuse('is supported with one pattern only')
  if (additional !== undefined && additional !== false) {
    throw refuse("is not supported beside 'additionalProperties' other than false")
  }
  const [source, value] = first
  const regex = compiled(source)
  if (regex === undefined) throw refuse(`has a pattern that is none: ${source}`)
  const fits = (key: string): boolean => regex.test(key)
  const both = [...properties.keys()].find(fits)
  if (both !== undefined) throw refuse(`has a pattern that the property '${both}' matches`)
  return { source, value, fits }
}

function compiled(pattern: string): RegExp | undefined {
  try {
    return new RegExp(pattern, 'u')
  } catch {
    return undefined
  }
}

function patternMember(builder: NodeBuilder, { source, value }: KeyPattern, path: string): GrammarNode {
  const key = stringMatching(searchRegex(source))
  const node = builder.convert(value, `${path}/patternProperties/${source}`)
  return builder.share(sequence(key, text(':'), space, node))
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
  if (schema.areItemsUnique && maxItems > 1) return uniqueArray(builder, schema, path)
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

/** There is a rule for each set of values. */
const maxUniqueValues = 10

/** Arrays of different values, in any order: what may follow depends on which have been. */
function uniqueArray(builder: NodeBuilder, schema: PlainSchema, path: string): GrammarNode {
  const { minItems, maxItems, prefixItems, items } = schema
  const values = builder.valuesOf(items, `${path}/items`)
  if (values === undefined || values.length > maxUniqueValues || prefixItems.length > 0) {
    const why = `is supported for 'items' that list at most ${maxUniqueValues} values only`
    throw keywordError('uniqueItems', path, why)
  }
  if (values.length < minItems) return nothing
  const behind: GrammarNode[] = []
  const numIn = (set: number): number => values.filter((_, index) => set & (1 << index)).length
  const nextOf = (set: number, before: GrammarNode): GrammarNode => {
    const free = numIn(set) < maxItems ? [...values.keys()].filter((index) => !(set & (1 << index))) : []
    const options = free.map((index) => sequence(before, literal(values[index]), behind[set | (1 << index)]!))
    return choice([...options, ...(numIn(set) >= minItems ? [empty] : [])])
  }
  for (let set = 2 ** values.length - 1; set > 0; set -= 1) behind[set] = builder.share(nextOf(set, comma))
  return sequence(text('['), space, nextOf(0, empty), space, text(']'))
}
