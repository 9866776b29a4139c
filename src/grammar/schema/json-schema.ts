/**
 * A JSON schema as a grammar of the texts that validate against it, or of a part of them: properties come in the
 * schema's order, and where a schema leaves open what else may be in an object with listed properties, nothing else
 * is. What it cannot promise it refuses, naming the keyword.
 */
import { grammarError } from '../grammar-error.ts'
import { choice, nothing, oneOf, rule, text, type Grammar, type GrammarNode } from '../node.ts'
import { areDisjoint } from './disjoint.ts'
import { formats } from './formats.ts'
import { space, stringMatching, stringOfLength } from './json-text.ts'
import {
  asksForNothing,
  assertions,
  checkKeywords,
  isObject,
  keywordError,
  sameJson,
  type JsonObject,
  type TypeName,
} from './keywords.ts'
import { multiplesOf } from './multiples.ts'
import { integerNode, numberNode } from './numbers.ts'
import { arrayNode, objectNode, type NodeBuilder } from './containers.ts'
import {
  conjunction,
  readPlainSchema,
  valuesOfTypes,
  type PlainSchema,
  type SubSchema,
} from './plain-schema.ts'
import { searchRegex, wholeTextRegex } from '../regex-parser.ts'

/** @throws {ServingError} INVALID_REQUEST naming the keyword that cannot be kept to, and where it is. */
export function schemaGrammar(schema: unknown): Grammar {
  return new Converter(schema).grammar()
}

/** Of what any JSON object looks like. */
export const anyObjectSchema: JsonObject = { type: 'object' }

/** Schemas looked at for one: a few lines of `allOf` can unfold to millions. */
const maxSchemas = 20_000
const maxDepth = 100
const allTypes: readonly TypeName[] = ['object', 'array', 'string', 'number', 'boolean', 'null']

class Converter implements NodeBuilder {
  readonly #root: unknown
  readonly #rules = new Map<string, GrammarNode>()
  #numSchemas = 0
  #depth = 0

  constructor(root: unknown) {
    this.#root = root
  }

  grammar(): Grammar {
    this.#rules.set('space', space)
    const root = this.convert(this.#root, '')
    return { rules: this.#rules, root }
  }

  /** A rule of its own, for what is referred to more than once. */
  share(node: GrammarNode): GrammarNode {
    const name = `part ${this.#rules.size}`
    this.#rules.set(name, node)
    return rule(name)
  }

  convert(schema: SubSchema, path: string): GrammarNode {
    if (schema === true || (isObject(schema) && !hasAssertions(schema, path))) return this.#anyValue()
    if (schema === false) return nothing
    if (!isObject(schema))
      throw grammarError(`the schema at ${path || 'the root'} is neither an object nor a boolean`)
    const { $ref: reference } = schema
    if (reference !== undefined && numAssertions(schema) === 1) return this.#reference(reference, path)
    return this.#allOf([schema], path)
  }

  valuesOf(schema: SubSchema, path: string): readonly unknown[] | undefined {
    const target = this.#resolved(schema, path)
    if (!isObject(target)) return undefined
    checkKeywords(target, path)
    if (Object.keys(target).some((key) => besideValues(key, target[key]))) return undefined
    const plain = readPlainSchema(target, path)
    const isBoolean = plain.types?.size === 1 && plain.types.has('boolean')
    if (plain.values === undefined) return isBoolean ? [true, false] : undefined
    const values = valuesOfTypes(plain)
    return values.filter((value, index) => !values.slice(0, index).some((other) => sameJson(value, other)))
  }

  #anyValue(): GrammarNode {
    if (!this.#rules.has('value')) {
      this.#rules.set('value', nothing)
      this.#rules.set('value', this.#ofTypes(allTypes, readPlainSchema({}, ''), ''))
    }
    return rule('value')
  }

  #reference(reference: unknown, path: string): GrammarNode {
    const name = `schema ${JSON.stringify(reference)}`
    if (!this.#rules.has(name)) {
      this.#rules.set(name, nothing)
      this.#rules.set(name, this.convert(this.#resolve(reference, path), String(reference)))
    }
    return rule(name)
  }

  #resolve(reference: unknown, path: string): unknown {
    if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) {
      throw keywordError('$ref', path, 'must point into the schema itself (#/$defs/…)')
    }
    let target: unknown = this.#root
    for (const part of reference.split('/').slice(1)) {
      const key = decodePointer(part)
      const isThere = typeof target === 'object' && target !== null && Object.hasOwn(target, key)
      if (!isThere) throw keywordError('$ref', path, `points to nothing: ${reference}`)
      target = (target as JsonObject)[key]
    }
    return target
  }

  /** A value that keeps to all of the schemas. */
  #allOf(schemas: readonly SubSchema[], path: string): GrammarNode {
    this.#depth += 1
    if (this.#depth > maxDepth) throw grammarError(`the schema is nested too deeply at ${path}`)
    const { plain, unions } = this.#unfold(schemas, path)
    const [first, ...others] = unions
    const node =
      plain === undefined
        ? nothing
        : first === undefined
          ? this.#plain(plain, path)
          : choice(
              first.options.map((option) => this.#allOf([option, ...others.map(asSchema), ...plain], path)),
            )
    this.#depth -= 1
    return node
  }

  /** References and conjunctions resolved; undefined when one of them is false. */
  #unfold(schemas: readonly SubSchema[], path: string): Unfolded {
    const plain: JsonObject[] = []
    const unions: Union[] = []
    const seen = new Set<unknown>()
    const open = [...schemas]
    for (let schema = open.shift(); schema !== undefined; schema = open.shift()) {
      this.#numSchemas += 1
      if (this.#numSchemas > maxSchemas) throw grammarError('the schema is too large')
      if (schema === false) return { plain: undefined, unions: [] }
      if (schema === true) continue
      if (!isObject(schema))
        throw grammarError(`the schema at ${path || 'the root'} is neither an object nor a boolean`)
      if (seen.has(schema)) continue
      seen.add(schema)
      checkKeywords(schema, path)
      const { $ref: reference, allOf, anyOf, oneOf, ...rest } = schema
      if (reference !== undefined) open.push(this.#resolve(reference, path))
      if (allOf !== undefined) open.push(...listOf(allOf, 'allOf', path))
      if (anyOf !== undefined) unions.push({ keyword: 'anyOf', options: listOf(anyOf, 'anyOf', path) })
      if (oneOf !== undefined) {
        const options = listOf(oneOf, 'oneOf', path)
        this.#checkDisjoint(options, path)
        unions.push({ keyword: 'anyOf', options })
      }
      if (hasAssertions(rest, path)) plain.push(rest)
    }
    return { plain, unions }
  }

  /** What it refers to, if it does. */
  #resolved(schema: SubSchema, path: string): SubSchema {
    let target = schema
    for (let steps = 0; isObject(target) && target['$ref'] !== undefined && steps < maxDepth; steps += 1) {
      target = this.#resolve(target['$ref'], path)
    }
    return target
  }

  #checkDisjoint(options: readonly SubSchema[], path: string): void {
    const resolved = options.map((option) => this.#resolved(option, path))
    for (const [index, one] of resolved.entries()) {
      for (const [offset, other] of resolved.slice(index + 1).entries()) {
        if (areDisjoint(one, other)) continue
        const which = `${index} and ${index + 1 + offset}`
        throw keywordError('oneOf', path, `has options that may both match (${which}); use 'anyOf'`)
      }
    }
  }

  #plain(schemas: readonly JsonObject[], path: string): GrammarNode {
    const read = schemas.map((schema) => readPlainSchema(schema, path))
    if (read.length > 1 && read.some(({ patternProperties }) => patternProperties.size > 0)) {
      throw keywordError('patternProperties', path, 'is not supported beside other schemas of the same value')
    }
    const schema = read.reduce(conjunction, readPlainSchema({}, path))
    if (schema.values === undefined) return this.#ofTypes(schema.types ?? typesMeant(schema), schema, path)
    const other = schemas.flatMap((one) => Object.keys(one).filter((key) => besideValues(key, one[key])))[0]
    if (other !== undefined) throw keywordError(other, path, "is not supported beside 'enum' and 'const'")
    return oneOf(valuesOfTypes(schema).map((value) => JSON.stringify(value)))
  }

  #ofTypes(types: Iterable<TypeName>, schema: PlainSchema, path: string): GrammarNode {
    const wanted = new Set(types)
    if (wanted.has('number')) wanted.delete('integer')
    return choice([...wanted].map((type) => this.#ofType(type, schema, path)))
  }

  #ofType(type: TypeName, schema: PlainSchema, path: string): GrammarNode {
    switch (type) {
      case 'null':
        return text('null')
      case 'boolean':
        return choice([text('true'), text('false')])
      case 'object':
        return objectNode(this, schema, path)
      case 'array':
        return arrayNode(this, schema, path)
      case 'string':
        return stringNode(schema, path)
      case 'number':
      case 'integer':
        return this.#number(type, schema, path)
      default:
        return type satisfies never
    }
  }

  #number(type: 'number' | 'integer', schema: PlainSchema, path: string): GrammarNode {
    if (schema.divisors.length > 0)
      return oneOf(multiplesOf(schema, type, path).map((value) => JSON.stringify(value)))
    const bounds = {
      min: schema.minimum,
      max: schema.maximum,
      excludesMin: schema.excludesMinimum,
      excludesMax: schema.excludesMaximum,
    }
    try {
      return type === 'integer' ? integerNode(bounds) : numberNode(bounds)
    } catch {
      throw keywordError(schema.minimum === -Infinity ? 'maximum' : 'minimum', path, 'has too many digits')
    }
  }
}

interface Union {
  readonly keyword: 'anyOf'
  readonly options: readonly SubSchema[]
}

interface Unfolded {
  /** Undefined: nothing can match. */
  readonly plain: readonly JsonObject[] | undefined
  /** One option of each must match too. */
  readonly unions: readonly Union[]
}

function asSchema({ options }: Union): JsonObject {
  return { anyOf: options }
}

function stringNode(schema: PlainSchema, path: string): GrammarNode {
  const { patterns, formats: names, minLength, maxLength } = schema
  const isBounded = minLength > 0 || maxLength < Infinity
  const [pattern] = patterns
  const name = names.find((one) => !numberFormats.has(one))
  if (pattern === undefined && name === undefined) return stringOfLength(minLength, maxLength)
  if (isBounded)
    throw keywordError('maxLength', path, "and 'minLength' are not supported beside 'pattern' and 'format'")
  if (patterns.length + (name === undefined ? 0 : 1) > 1 || new Set(names).size > 1) {
    throw keywordError('pattern', path, "is not supported beside another 'pattern' or 'format'")
  }
  if (pattern !== undefined) return stringMatching(searchRegex(pattern))
  const format = formats[name!]
  if (format === undefined) throw keywordError('format', path, `is not supported with the value '${name}'`)
  return stringMatching(wholeTextRegex(format))
}

/** OpenAPI's widths of numbers: nothing to do with strings. */
const numberFormats = new Set(['int32', 'int64', 'float', 'double'])

/** A schema that says nothing of types means those that its keywords are about. */
function typesMeant(schema: PlainSchema): readonly TypeName[] {
  const { listsProperties, required, additional, items, prefixItems } = schema
  const meant: TypeName[] = []
  const hasPattern = schema.patternProperties.size > 0
  if (listsProperties || hasPattern || required.size > 0 || additional !== undefined) meant.push('object')
  const hasCount = schema.minItems > 0 || schema.maxItems < Infinity || schema.areItemsUnique
  if (items !== undefined || prefixItems.length > 0 || hasCount) meant.push('array')
  const hasText = schema.patterns.length > 0 || schema.formats.length > 0
  if (hasText || schema.minLength > 0 || schema.maxLength < Infinity) meant.push('string')
  if (schema.minimum > -Infinity || schema.maximum < Infinity || schema.divisors.length > 0) {
    meant.push('number')
  }
  return meant.length > 0 ? meant : allTypes
}

function numAssertions(schema: JsonObject): number {
  return Object.keys(schema).filter((key) => assertions.has(key)).length
}

function hasAssertions(schema: JsonObject, path: string): boolean {
  checkKeywords(schema, path)
  return numAssertions(schema) > 0
}

function besideValues(key: string, value: unknown): boolean {
  return assertions.has(key) && !['enum', 'const', 'type'].includes(key) && !asksForNothing(key, value)
}

function listOf(value: unknown, keyword: string, path: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0)
    throw keywordError(keyword, path, 'must be a list of schemas')
  return value
}

function decodePointer(part: string): string {
  const unescaped = part.replaceAll('~1', '/').replaceAll('~0', '~')
  try {
    return decodeURIComponent(unescaped)
  } catch {
    return unescaped
  }
}
